//! The search: every state that a world can reach, breadth first, each once.
//!
//! A `Scope` cannot be copied, so a state is restored by playing the inputs that led to it again.
//! What identifies a state is the printed form of everything in it, the scopes' own fields
//! included; two states that print alike behave alike.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::setup::Setup;
use super::words::{Event, Violation};
use super::world::World;

/// How much was explored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    pub(crate) depth: usize,
    /// Ways into a closed outer scope.
    pub(crate) ends: usize,
}

/// A violation and the shortest way to it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) violation: Violation,
    pub(crate) trace: Vec<Event>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} does not hold: {}", self.violation.promise, self.violation.what)?;
        for (n, event) in self.trace.iter().enumerate() {
            writeln!(f, "  {:>2}. {event}", n + 1)?;
        }
        Ok(())
    }
}

struct Node {
    parent: usize,
    event: Option<Event>,
    depth: usize,
}

struct Search<'a> {
    setup: &'a Setup,
    nodes: Vec<Node>,
    visited: HashMap<u128, usize>,
    edges: Vec<(usize, usize)>,
    ends: usize,
}

/// Explores a world completely.
pub(crate) fn explore(setup: &Setup) -> Result<Explored, Found> {
    let mut search = Search { setup, nodes: Vec::new(), visited: HashMap::new(), edges: Vec::new(), ends: 0 };
    search.run()
}

impl<'a> Search<'a> {
    fn run(&mut self) -> Result<Explored, Found> {
        let root = World::new(self.setup).map_err(|violation| Found { violation, trace: Vec::new() })?;
        self.visited.insert(key(&root), 0);
        self.nodes.push(Node { parent: 0, event: None, depth: 0 });
        let mut next = 0;
        while next < self.nodes.len() {
            let path = self.path(next);
            let world = self.replay(&path)?;
            let events = world.choices();
            if events.is_empty() {
                let what = format!("nothing can happen any more, and the scope is open: {:?}", world.books[0]);
                return Err(Found { violation: Violation { promise: "termination", what }, trace: path });
            }
            self.expand(next, world, &events, path)?;
            next += 1;
        }
        self.check_ends()?;
        let depth = self.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        Ok(Explored { states: self.nodes.len(), transitions: self.edges.len() + self.ends, depth, ends: self.ends })
    }

    /// Follows every event. The world at hand serves the first one; the others need a replay.
    fn expand(&mut self, from: usize, world: World<'a>, events: &[Event], mut path: Vec<Event>) -> Result<(), Found> {
        let mut at_hand = Some(world);
        for event in events {
            let mut world = match at_hand.take() {
                Some(world) => world,
                None => self.replay(&path)?,
            };
            path.push(*event);
            let checked = step(&mut world, *event);
            let closed = world.books[0].closed;
            let checked = if closed { checked.and_then(|()| world.check_closed_is_final()) } else { checked };
            checked.map_err(|violation| Found { violation, trace: path.clone() })?;
            path.pop();
            if closed {
                self.ends += 1;
                continue;
            }
            let fresh = self.nodes.len();
            let to = *self.visited.entry(key(&world)).or_insert(fresh);
            if to == fresh {
                let depth = self.nodes[from].depth + 1;
                self.nodes.push(Node { parent: from, event: Some(*event), depth });
                let limit = 4_000_000;
                assert!(fresh < limit, "the world `{}` is larger than {limit} states", self.setup.name);
            }
            self.edges.push((from, to));
        }
        Ok(())
    }

    fn path(&self, mut node: usize) -> Vec<Event> {
        let mut path = Vec::with_capacity(self.nodes[node].depth);
        while let Some(event) = self.nodes[node].event {
            path.push(event);
            node = self.nodes[node].parent;
        }
        path.reverse();
        path
    }

    fn replay(&self, path: &[Event]) -> Result<World<'a>, Found> {
        let found = |violation| Found { violation, trace: path.to_vec() };
        let mut world = World::new(self.setup).map_err(found)?;
        for event in path {
            world.play(*event).map_err(found)?;
        }
        Ok(world)
    }

    /// Every run ends: no run goes in circles, and (seen before) only closed scopes have nothing to
    /// do. So every fair run closes, within as many steps as there are states.
    fn check_ends(&self) -> Result<(), Found> {
        let mut incoming = vec![0_u32; self.nodes.len()];
        let mut outgoing = vec![Vec::new(); self.nodes.len()];
        for (from, to) in &self.edges {
            incoming[*to] += 1;
            outgoing[*from].push(*to);
        }
        let mut ready = vec![0];
        let mut sorted = 0;
        while let Some(node) = ready.pop() {
            sorted += 1;
            for to in &outgoing[node] {
                incoming[*to] -= 1;
                if incoming[*to] == 0 {
                    ready.push(*to);
                }
            }
        }
        let circle = incoming.iter().position(|n| *n > 0);
        match circle.filter(|_| sorted < self.nodes.len()) {
            None => Ok(()),
            Some(node) => {
                let violation = Violation { promise: "termination", what: "a run goes in circles".to_owned() };
                Err(Found { violation, trace: self.path(node) })
            }
        }
    }
}

/// One event; an assertion of the production value that fails is a finding, not the end of the search.
fn step(world: &mut World<'_>, event: Event) -> Result<(), Violation> {
    catch_unwind(AssertUnwindSafe(|| world.apply(event))).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation { promise: "assertion", what: text.unwrap_or_default() })
    })
}

fn key(world: &World<'_>) -> u128 {
    let mut text = String::with_capacity(8192);
    for book in &world.books {
        // What a closed scope has been is of no consequence to the others.
        let printed = if book.closed { text.write_str("closed") } else { write!(text, "{book:?}") };
        debug_assert!(printed.is_ok(), "a string takes everything");
    }
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, world.now, &text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}
