//! What can go wrong with a child, and the bound that a scope puts on its error type.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::Cancelled;

/// What a [`DeadChild`] that no frame stopped says for itself.
const OUTSIDE_A_FRAME: &str = "a child was needed that failed, outside the frames of its scope, which has the error";

/// The payload of a caught panic.
pub struct Panic {
    // `Box<dyn Any + Send>` is not `Sync`; the mutex makes `Failure<E>` `Sync` where `E` is.
    payload: Mutex<Box<dyn Any + Send>>,
    message: Option<String>,
}

impl Panic {
    /// Wraps what `catch_unwind` caught.
    pub fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let message = message.or_else(|| payload.is::<DeadChild>().then(|| OUTSIDE_A_FRAME.to_owned()));
        Self { payload: Mutex::new(payload), message }
    }

    /// The panic's message, if its payload was text, as that of `panic!` is.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The original payload.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on panicking with the original payload, without running the panic hook again.
    ///
    /// # Panics
    ///
    /// Always: that is what it is for.
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "panicked: {message}"),
            None => f.write_str("panicked"),
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message).finish()
    }
}

/// The payload with which a frame is unwound that needs the value of a child which has none.
///
/// For bindings: whoever runs the frame recognises it, and it is nobody's failure, since the scope
/// has the error.
#[doc(hidden)]
#[derive(Debug)]
pub struct DeadChild(());

impl DeadChild {
    /// Unwinds, without running the panic hook.
    pub fn unwind() -> ! {
        Self::into_panic().resume()
    }

    /// As the panic that it is outside any frame.
    pub fn into_panic() -> Panic {
        Panic::new(Box::new(Self(())))
    }
}

/// Why a child gave no value.
///
/// # Examples
///
/// ```
/// use sc_core::Failure;
///
/// let failure: Failure<std::io::Error> = Failure::Error(std::io::Error::other("disk on fire"));
/// assert_eq!(failure.to_string(), "disk on fire");
/// assert!(failure.as_error().is_some());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<E> {
    /// It returned an error.
    Error(E),
    /// It, or a destructor it left to run, panicked.
    Panic(Panic),
    /// It was cancelled before it was done.
    Cancelled(Cancelled),
    /// It failed, and the scope has taken the error: it is (or will be) the scope's result or one
    /// of the outcome's further failures. An error has one owner.
    OwnedByScope,
}

impl<E> Failure<E> {
    /// The error, if it was one.
    pub const fn as_error(&self) -> Option<&E> {
        match self {
            Self::Error(error) => Some(error),
            _ => None,
        }
    }

    /// The panic, if it was one.
    pub const fn as_panic(&self) -> Option<&Panic> {
        match self {
            Self::Panic(panic) => Some(panic),
            _ => None,
        }
    }

    /// The cancellation, if it was one.
    pub const fn as_cancelled(&self) -> Option<&Cancelled> {
        match self {
            Self::Cancelled(cancelled) => Some(cancelled),
            _ => None,
        }
    }

    /// Whether it was a panic.
    pub const fn is_panic(&self) -> bool {
        matches!(self, Self::Panic(_))
    }

    /// Whether it was a cancellation.
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }

    /// Changes the type of the error and leaves everything else as it is.
    pub fn map<F>(self, f: impl FnOnce(E) -> F) -> Failure<F> {
        match self {
            Self::Error(error) => Failure::Error(f(error)),
            Self::Panic(panic) => Failure::Panic(panic),
            Self::Cancelled(cancelled) => Failure::Cancelled(cancelled),
            Self::OwnedByScope => Failure::OwnedByScope,
        }
    }

    /// The failure as the error of a scope, for `child.join().await.map_err(Failure::into_error)?`.
    ///
    /// An error is given as it is, a cancellation is turned into the scope's error type. What the
    /// scope has taken cannot be given again: the frame that calls this ends here, as if it had
    /// awaited the child, and the scope's result is the error that it has.
    ///
    /// # Panics
    ///
    /// A [`Panic`](Self::Panic) goes on, with its original payload. [`OwnedByScope`](Self::OwnedByScope)
    /// unwinds the frame without running the panic hook; the scope (or child) that runs the frame
    /// recognises that. Outside any frame (in a task of Tokio's own, in an ambient task to which the
    /// failure was handed) it is a panic like any other.
    ///
    /// # Examples
    ///
    /// ```
    /// use sc_core::Failure;
    ///
    /// let failure: Failure<std::io::Error> = Failure::Error(std::io::Error::other("disk on fire"));
    /// assert_eq!(failure.into_error().to_string(), "disk on fire");
    /// ```
    pub fn into_error(self) -> E
    where
        E: ScopeError,
    {
        match self {
            Self::Error(error) => error,
            Self::Panic(panic) => panic.resume(),
            Self::Cancelled(cancelled) => E::from_cancelled(cancelled),
            Self::OwnedByScope => DeadChild::unwind(),
        }
    }

    /// The rank among failures recorded at the same moment; the lowest is primary (P5).
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Self::Panic(_) => 0,
            Self::Error(_) | Self::OwnedByScope => 1,
            Self::Cancelled(_) => 2,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(panic) => panic.fmt(f),
            Self::Cancelled(cancelled) => cancelled.fmt(f),
            Self::OwnedByScope => f.write_str("failed; its scope has the error"),
        }
    }
}

impl<E: Error + 'static> Error for Failure<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Error(error) => error.source(),
            Self::Cancelled(cancelled) => cancelled.source(),
            Self::Panic(_) | Self::OwnedByScope => None,
        }
    }
}

/// An error type that a scope can return: one that can be made from [`Cancelled`].
///
/// Never implemented by hand: every `E: From<Cancelled>` has it. `anyhow::Error`, boxed errors and
/// `std::io::Error` qualify; with `thiserror` it is one `#[from] Cancelled` variant. For a foreign
/// error type, which may not get that `From`, use `map_cancelled` on the nursery.
#[diagnostic::on_unimplemented(
    message = "a scope cannot return `{Self}` as its error, since it cannot be made from `Cancelled`",
    label = "`{Self}` does not implement `From<Cancelled>`",
    note = "add a variant with `#[from] Cancelled` (thiserror) or `impl From<Cancelled> for {Self}`",
    note = "for an error type of another crate use `.map_cancelled(|c| ..)` (`map_cancelled = |c| ..` in `#[scoped]`), or `.outcome()`, which needs no conversion"
)]
pub trait ScopeError: Sized {
    /// Turns the notice of a cancellation into the error.
    fn from_cancelled(cancelled: Cancelled) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Cancelled>> ScopeError for E {
    fn from_cancelled(cancelled: Cancelled) -> Self {
        Self::from(cancelled)
    }
}
