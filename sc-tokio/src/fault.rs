//! Failures without their error type.
//!
//! A node of the tree has parents and children with other error types, so the books keep errors
//! boxed. Only `Scope<E>` puts errors in and takes them out, and a node belongs to one `Scope<E>`
//! type; that is why the downcasts in here cannot fail.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use sc_core::{Failure, FailureRecord, Member, Panic};

use crate::node::Node;
use crate::rt::Instant;

/// An error whose type the books do not know.
pub(crate) trait AnyError: Send + 'static {
    fn describe(&self) -> String;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

impl<E: Debug + Send + 'static> AnyError for E {
    fn describe(&self) -> String {
        format!("{self:?}")
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl std::fmt::Debug for dyn AnyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

pub(crate) type BoxedError = Box<dyn AnyError>;

/// A failure as the books keep it.
pub(crate) type Fault = Failure<BoxedError>;

pub(crate) fn erase<E: Debug + Send + 'static>(failure: Failure<E>) -> Fault {
    failure.map(|error| Box::new(error) as BoxedError)
}

pub(crate) fn restore<E: Send + 'static>(fault: Fault) -> Failure<E> {
    fault.map(restore_error)
}

pub(crate) fn restore_error<E: Send + 'static>(error: BoxedError) -> E {
    // The type is the scope's own; see the module's first paragraph.
    *error.into_any().downcast::<E>().expect("an error goes back to the scope type it came from")
}

/// The failure in words, for events and hooks. Runs the user's `Debug`.
pub(crate) fn describe(fault: &Fault) -> String {
    match fault {
        Failure::Error(error) => (**error).describe(),
        Failure::Panic(panic) => panic.to_string(),
        Failure::Cancelled(cancelled) => cancelled.to_string(),
        other => format!("{:?}", std::mem::discriminant(other)),
    }
}

impl Node {
    /// A failure of this scope that was on its way to a frame, and found it did not need it.
    pub(crate) fn give_back(self: &Arc<Self>, failure: Fault) {
        let record = FailureRecord { member: Member::some_child(), failure };
        if self.is_closed() {
            crate::hook::unhandled(self.origin(), record);
        } else {
            self.input(|books| books.scope.unclaimed(record));
        }
    }

    /// A failure that nobody but the scope can own: of a destructor, in most cases.
    pub(crate) fn own_failure(self: &Arc<Self>, member: Member, panic: Panic) {
        let record = FailureRecord { member, failure: Failure::Panic(panic) };
        if self.is_closed() {
            crate::hook::unhandled(self.origin(), record);
            return;
        }
        let now = Instant::now().into_std();
        self.input(|books| books.scope.failed(record, now));
    }
}
