//! Who does the work of a scope, and how it is named in messages.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

use crate::line::nonempty;

/// The name of a scope or a child, as its author gave it: any text.
///
/// Getters give it unchanged. Messages (every `Display` of this library) keep to one line: they escape
/// control characters, backslashes and backticks, show at most the first 100 characters, and treat an
/// empty name as none. [`ShownName`](crate::ShownName) is how they show it.
pub type Name = Cow<'static, str>;

/// The number of a child within its scope, in spawn order from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(u64);

impl ChildId {
    /// Makes the id of the `n`-th child of a scope.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What part a member plays in its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The code of the block itself.
    Body,
    /// A child, ordinary or daemon.
    Child,
    /// A cleanup step registered with `defer`.
    Finalizer,
    /// The scope's policy (only its panics are recorded).
    Policy,
}

/// One participant of a scope: role, name and the place in the source that started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    role: Role,
    id: Option<ChildId>,
    name: Option<Name>,
    place: Option<&'static Location<'static>>,
}

impl Member {
    /// The body of a scope.
    pub const fn body() -> Self {
        Self::of(Role::Body)
    }

    /// The policy of a scope.
    pub const fn policy() -> Self {
        Self::of(Role::Policy)
    }

    /// The child with this id.
    pub const fn child(id: ChildId) -> Self {
        Self { role: Role::Child, id: Some(id), name: None, place: None }
    }

    /// A child whose number is not known here.
    pub const fn some_child() -> Self {
        Self::of(Role::Child)
    }

    /// A finalizer.
    pub const fn finalizer() -> Self {
        Self::of(Role::Finalizer)
    }

    const fn of(role: Role) -> Self {
        Self { role, id: None, name: None, place: None }
    }

    /// Gives the member a name.
    #[must_use]
    pub fn named(mut self, name: Option<Name>) -> Self {
        self.name = name;
        self
    }

    /// Says where in the source the member was started.
    #[must_use]
    pub const fn at(mut self, place: &'static Location<'static>) -> Self {
        self.place = Some(place);
        self
    }

    /// What part it plays.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The child's number; `None` for every other role.
    pub const fn id(&self) -> Option<ChildId> {
        self.id
    }

    /// The name it was given, if any.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The place in the source that started it, where known.
    pub const fn place(&self) -> Option<&'static Location<'static>> {
        self.place
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.role, nonempty(self.name.as_ref()), self.id) {
            (Role::Body, ..) => f.write_str("the body")?,
            (Role::Policy, ..) => f.write_str("the policy")?,
            (Role::Finalizer, ..) => f.write_str("a finalizer")?,
            (Role::Child, Some(name), _) => write!(f, "child `{name}`")?,
            (Role::Child, None, Some(id)) => write!(f, "child {id}")?,
            (Role::Child, None, None) => f.write_str("a child")?,
        }
        match self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}
