//! The children that wait: their wakers, and what to call them.
//!
//! A child enters on its first `Pending`, so that one which finishes at once takes no lock, and
//! leaves when it ends; a slot is used again (P11). Wakers and spawn places lie in two columns, so
//! that a stop can take all wakers at once and leave the places for those who ask who is late (P9).
//! Few children have a name, so names lie apart; those that have one enter when they are spawned.
//! Nor is anybody's age kept but under a program's root, whose last words are who is late and how old (P9): a clock
//! that every child reads would cost more than the rest of this list.

use std::collections::BTreeMap;
use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use sc_core::{Member, Name};

use crate::lazy::Lazy;
use crate::rt::Instant;

/// What a child is called.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) place: &'static Location<'static>,
    pub(crate) name: Option<Name>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Present {
    wakers: Vec<Option<Waker>>,
    places: Vec<Option<&'static Location<'static>>>,
    names: BTreeMap<u32, Name>,
    free: Vec<u32>,
    keeps_ages: bool,
    ages: Option<Box<Ages>>,
}

/// Since when those who wait do.
#[derive(Debug)]
struct Ages {
    epoch: Instant,
    /// When they came, in milliseconds since the epoch.
    entered: Vec<u32>,
}

impl Ages {
    fn begun() -> Self {
        Self { epoch: Instant::now(), entered: Vec::new() }
    }

    /// Since the epoch.
    fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.epoch)
    }

    fn note(&mut self, index: usize) {
        if self.entered.len() <= index {
            self.entered.resize(index + 1, 0);
        }
        self.entered[index] = u32::try_from(self.now().as_millis()).unwrap_or(u32::MAX);
    }

    fn of(&self, index: usize) -> Option<Duration> {
        let entered = Duration::from_millis(u64::from(*self.entered.get(index)?));
        Some(self.now().saturating_sub(entered))
    }
}

/// Makes room by a quarter at a time: doubling would leave a third of a large list unused, on average.
fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(16));
    }
}

impl Present {
    /// Keeps the age of those who enter from now on.
    pub(crate) fn keep_ages(&mut self) {
        self.keeps_ages = true;
    }

    pub(crate) fn enter(&mut self, place: &'static Location<'static>, waker: Waker) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            grow(&mut self.places);
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 children wait at once")
        });
        let index = slot as usize;
        self.places[index] = Some(place);
        let vacant = self.put(index, waker);
        debug_assert!(vacant.is_none(), "a free slot has no waker");
        if self.keeps_ages {
            self.ages.get_or_insert_with(|| Box::new(Ages::begun())).note(index);
        }
        slot
    }

    /// Names who is in this slot.
    pub(crate) fn name(&mut self, slot: u32, name: Name) {
        self.names.insert(slot, name);
    }

    /// A waiting child got another waker. Gives back the old one, to be dropped without the lock.
    pub(crate) fn renew(&mut self, slot: u32, waker: Waker) -> Option<Waker> {
        self.put(slot as usize, waker)
    }

    fn put(&mut self, index: usize, waker: Waker) -> Option<Waker> {
        if let Some(place) = self.wakers.get_mut(index) {
            return place.replace(waker);
        }
        if self.wakers.len() < index {
            // The column was taken as a whole since this slot was filled.
            self.wakers.resize_with(index, || None);
        }
        grow(&mut self.wakers);
        self.wakers.push(Some(waker));
        None
    }

    /// Gives back what is to be dropped without the lock.
    pub(crate) fn leave(&mut self, slot: u32) -> (Option<Waker>, Option<Name>) {
        let waker = self.wakers.get_mut(slot as usize).and_then(Option::take);
        if let Some(place) = self.places.get_mut(slot as usize) {
            *place = None;
        }
        self.free.push(slot);
        (waker, self.names.remove(&slot))
    }

    /// Takes every waker. Who waits keeps its place.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers).into_iter().flatten().collect()
    }

    /// Who waits, at most `most` of them.
    pub(crate) fn members(&self, most: usize) -> Vec<Member> {
        self.here().take(most).map(|(_, member)| member).collect()
    }

    /// As [`members`](Self::members), with their ages, if those are kept.
    pub(crate) fn members_and_ages(&self, most: usize) -> Vec<(Member, Option<Duration>)> {
        let age = |slot: u32| self.ages.as_ref()?.of(slot as usize);
        self.here().take(most).map(|(slot, member)| (member, age(slot))).collect()
    }

    fn here(&self) -> impl Iterator<Item = (u32, Member)> {
        let here = (0_u32..).zip(&self.places).filter_map(|(slot, place)| Some((slot, (*place)?)));
        here.map(|(slot, place)| (slot, Member::some_child().named(self.names.get(&slot).cloned()).at(place)))
    }
}

/// Tasks that wait for a change of the scope rather than take part in it.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Lazy<WaitingTasks>);

#[derive(Debug, Default)]
struct WaitingTasks {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Waiters {
    /// Enters, or renews, a waiter. Gives back an old waker, to be dropped without the lock.
    pub(crate) fn wait(&mut self, key: &mut Option<usize>, waker: Waker) -> Option<Waker> {
        let WaitingTasks { wakers, free } = self.0.make();
        let index = *key.get_or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                wakers.push(None);
                wakers.len() - 1
            })
        });
        wakers[index].replace(waker)
    }

    /// Whether this very task waits there.
    pub(crate) fn is_waiting(&self, key: usize, waker: &Waker) -> bool {
        let place = self.0.get().and_then(|tasks| tasks.wakers.get(key)?.as_ref());
        place.is_some_and(|waiting| waiting.will_wake(waker))
    }

    pub(crate) fn leave(&mut self, key: usize) -> Option<Waker> {
        let WaitingTasks { wakers, free } = self.0.make();
        free.push(key);
        wakers[key].take()
    }

    /// Takes the wakers; the waiters keep their places.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        self.0.get_mut().into_iter().flat_map(|tasks| tasks.wakers.iter_mut()).filter_map(Option::take).collect()
    }
}
