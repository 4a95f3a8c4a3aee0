//! The children that wait: their wakers, and what to call them.
//!
//! A child enters on its first `Pending`, so that one which finishes at once takes no lock, and
//! leaves when it ends; a slot is used again (P11). Wakers and labels lie in two columns, so that a
//! stop can take all wakers at once and leave the names for those who ask who is late (P9).

use std::panic::Location;
use std::task::Waker;

use sc_core::{Member, Name};

/// What a waiting child is called.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) place: &'static Location<'static>,
    /// Boxed, since few children have one and every child pays for the space.
    pub(crate) name: Option<Box<Name>>,
}

impl Label {
    fn member(&self) -> Member {
        Member::some_child().named(self.name.as_deref().cloned()).at(self.place)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Present {
    wakers: Vec<Option<Waker>>,
    labels: Vec<Option<Label>>,
    free: Vec<u32>,
}

/// Makes room by a quarter at a time: doubling would leave a third of a large list unused, on average.
fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(16));
    }
}

impl Present {
    pub(crate) fn enter(&mut self, label: Label, waker: Waker) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            grow(&mut self.labels);
            self.labels.push(None);
            u32::try_from(self.labels.len() - 1).expect("fewer than 2^32 children wait at once")
        });
        let index = slot as usize;
        self.labels[index] = Some(label);
        let vacant = self.put(index, waker);
        debug_assert!(vacant.is_none(), "a free slot has no waker");
        slot
    }

    /// A waiting child got another waker. Gives back the old one, to be dropped without the lock.
    pub(crate) fn renew(&mut self, slot: u32, waker: Waker) -> Option<Waker> {
        self.put(slot as usize, waker)
    }

    fn put(&mut self, index: usize, waker: Waker) -> Option<Waker> {
        // The column may have been taken as a whole since this slot was filled.
        if self.wakers.len() <= index {
            self.wakers.resize_with(index, || None);
            grow(&mut self.wakers);
            self.wakers.push(Some(waker));
            return None;
        }
        self.wakers[index].replace(waker)
    }

    /// Gives back what is to be dropped without the lock.
    pub(crate) fn leave(&mut self, slot: u32) -> (Option<Waker>, Option<Label>) {
        let waker = self.wakers.get_mut(slot as usize).and_then(Option::take);
        let label = self.labels.get_mut(slot as usize).and_then(Option::take);
        self.free.push(slot);
        (waker, label)
    }

    /// Takes every waker. Who waits keeps its label.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers).into_iter().flatten().collect()
    }

    /// Who waits, at most `most` of them.
    pub(crate) fn members(&self, most: usize) -> Vec<Member> {
        self.labels.iter().flatten().take(most).map(Label::member).collect()
    }
}

/// Tasks that wait for a change of the scope rather than take part in it.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Waiters {
    /// Enters, or renews, a waiter. Gives back an old waker, to be dropped without the lock.
    pub(crate) fn wait(&mut self, key: &mut Option<usize>, waker: Waker) -> Option<Waker> {
        let index = *key.get_or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.wakers.push(None);
                self.wakers.len() - 1
            })
        });
        self.wakers[index].replace(waker)
    }

    pub(crate) fn leave(&mut self, key: usize) -> Option<Waker> {
        self.free.push(key);
        self.wakers[key].take()
    }

    /// Takes the wakers; the waiters keep their places.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        self.wakers.iter_mut().filter_map(Option::take).collect()
    }
}
