//! What a child may return.

/// Never: the output of a future that does not end, as `async { loop { .. } }`.
pub type Never = <fn() -> ! as sealed::Returns>::Output;

mod sealed {
    pub trait Sealed<E> {}

    /// Names the type `!`, which stable Rust has but does not let one write in this place.
    pub trait Returns {
        type Output;
    }

    impl<R> Returns for fn() -> R {
        type Output = R;
    }
}

/// What a child of a `Scope<E>` may return: `Result<T, E>`, `()`, or never (`!`). Sealed.
#[diagnostic::on_unimplemented(
    message = "a child of a `Scope<{E}>` cannot return `{Self}`",
    label = "this child returns `{Self}`",
    note = "return `Result<T, {E}>` with the scope's own error type, or `()`",
    note = "with another error type, convert it inside: `async {{ Ok(work().await?) }}`; without one: `async {{ Ok(work().await) }}`"
)]
pub trait ChildOutput<E>: sealed::Sealed<E> {
    /// What awaiting the child gives.
    type Value;

    /// The output as a result.
    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Value, E>;
}

impl<T, E> sealed::Sealed<E> for Result<T, E> {}

impl<T, E> ChildOutput<E> for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Self {
        self
    }
}

impl<E> sealed::Sealed<E> for () {}

impl<E> ChildOutput<E> for () {
    type Value = ();

    fn into_result(self) -> Result<(), E> {
        Ok(())
    }
}

impl<E> sealed::Sealed<E> for Never {}

impl<E> ChildOutput<E> for Never {
    type Value = Never;

    fn into_result(self) -> Result<Never, E> {
        match self {}
    }
}

/// What a finalizer of a `Scope<E>` may return: `()`, `Result<(), E>`, or never (`!`). Sealed.
#[diagnostic::on_unimplemented(
    message = "a finalizer of a `Scope<{E}>` cannot return `{Self}`",
    label = "this finalizer returns `{Self}`",
    note = "return `()` or `Result<(), {E}>`"
)]
pub trait FinalizerOutput<E>: sealed::Sealed<E> {
    /// The output as a result.
    #[doc(hidden)]
    fn into_result(self) -> Result<(), E>;
}

impl<E> FinalizerOutput<E> for Result<(), E> {
    fn into_result(self) -> Self {
        self
    }
}

impl<E> FinalizerOutput<E> for () {
    fn into_result(self) -> Result<(), E> {
        Ok(())
    }
}

impl<E> FinalizerOutput<E> for Never {
    fn into_result(self) -> Result<(), E> {
        match self {}
    }
}
