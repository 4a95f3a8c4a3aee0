//! Who gets a failure that is not the scope's: handles, and the policy's verdicts (P4).

use sc_core::{BodyEnd, ChildId, Claim, Failure, FailureRecord, Reason, Verdict};

use super::book::{Handle, Stage, instant};
use super::words::{ClaimHow, How, Ruling, Tag, What, Who, ensure};
use super::world::{Checked, World, untagged};

impl World<'_> {
    pub(crate) fn judge(&mut self, s: usize, ruling: Ruling) -> Checked {
        let book = &mut self.books[s];
        let (Some(exit), Some((t, failed, tag))) = (book.judging.take(), book.to_judge.pop_front()) else {
            return Ok(());
        };
        let verdict = match ruling {
            Ruling::Continue => Ok(Verdict::Continue),
            Ruling::Cancel => Ok(Verdict::Cancel),
            Ruling::Panic => {
                let tag = Tag::new(s, Who::Policy(t), What::Panic);
                book.injected.insert(tag);
                book.order_primary(Some(tag));
                self.order_cancel(s, Reason::ChildFailed);
                Err(tag.panic())
            }
        };
        if ruling == Ruling::Cancel {
            let ended_how = self.books[s].tasks[t].stage;
            let how = if let Stage::Ended(how) = ended_how { how } else { How::AwaitedDead };
            let book = &mut self.books[s];
            book.order_primary(tag);
            // A child that awaited a dead one: the scope ends with that child's own reason.
            let awaited_dead = failed && tag.is_none();
            book.cut_short |= awaited_dead && book.cancel.is_none();
            self.order_cancel(s, if awaited_dead { untagged(how) } else { Reason::Policy });
        }
        let effects = self.books[s].machine.judged(exit, verdict, instant(self.now));
        ensure!(effects.settled, "P4", "a verdict was given, and waiting handles are not told");
        self.perform(s, effects)?;
        if self.books[s].judging.is_none() && self.books[s].live() {
            self.next_to_judge(s)?;
        }
        Ok(())
    }

    pub(crate) fn claim(&mut self, s: usize, t: usize, how: ClaimHow) -> Checked {
        let waits = self.books[s].to_judge.iter().any(|(id, ..)| *id == t);
        let failure = match self.books[s].machine.claim(ChildId::new(t as u64)) {
            Claim::Pending => {
                ensure!(waits, "P4", "the handle of task {t} waits for a verdict that is not to come");
                self.books[s].tasks[t].handle = Handle::Waiting;
                return Ok(());
            }
            Claim::OwnedByScope => None,
            Claim::Failure(failure) => Some(failure),
        };
        ensure!(!waits, "P4", "the failure of task {t} was given away before the policy judged it");
        self.release(s, t)?;
        self.claimed(s, t, how, failure)
    }

    fn claimed(&mut self, s: usize, t: usize, how: ClaimHow, failure: Option<Failure<Tag>>) -> Checked {
        let tag = failure.as_ref().and_then(Tag::of);
        ensure!(tag.is_none_or(|tag| tag.who == Who::Task(t)), "P4", "task {t}'s handle got {tag:?}");
        match (how, failure) {
            (ClaimHow::Join, _) => self.books[s].delivered.extend(tag),
            (ClaimHow::Await, Some(failure)) => {
                self.books[s].awaited = tag;
                return self.end_body_with(s, BodyEnd::Failed(failure), None, tag);
            }
            (ClaimHow::Await, None) => return self.end_body_with(s, BodyEnd::AwaitedDead, None, None),
            (ClaimHow::Return, Some(failure)) => {
                let member = sc_core::Member::child(ChildId::new(t as u64));
                let effects = self.books[s].machine.unclaimed(FailureRecord { member, failure });
                self.perform(s, effects)?;
            }
            (ClaimHow::Return, None) => {}
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, s: usize, t: usize) -> Checked {
        if self.books[s].tasks[t].handle == Handle::None {
            return Ok(());
        }
        self.books[s].tasks[t].handle = Handle::None;
        let effects = self.books[s].machine.release(ChildId::new(t as u64));
        self.perform(s, effects)
    }
}
