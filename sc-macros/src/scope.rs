//! The block that is a scope, as both macros expand it: it holds the nursery as a local and awaits a driver over the
//! body.
//!
//! - The nursery is a local with drop glue, so what a borrowed child borrows has to live longer than it: declared
//!   before the block or moved into it. The body is an `async` block of its own, so nothing inside it lives that long.
//! - Only the outer block ever moves its captures. The body borrows them from there, and so may borrowed children.
//! - The body begins with a `return` that is never reached. It tells rustc the body's type before it reads the body,
//!   so that `Box<dyn ..>` and number literals in it find theirs. The witness behind it is consumed, and not `Copy`,
//!   so that the body captures a zero-sized value and not a reference to it.
//! - The nursery and the reference to it both bear the user's name, since rustc names no variable that a macro made:
//!   "`n` does not live long enough" it says, at the user's own `n`. `match` binds the first of them because rustc
//!   proposes a type for the first `let`, and the type to propose is the reference's. (`identity` is there because
//!   clippy takes `let _n = reference` for a mistake.)

use crate::errors::Errors;
use crate::handle::Handle;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::Type;

/// What differs between the macros.
pub(crate) struct Scope<'a> {
    pub(crate) handle: &'a Handle,
    /// Makes the nursery.
    pub(crate) open: TokenStream,
    /// Makes `__witness` out of `__nursery`, where there is none yet.
    pub(crate) witness: TokenStream,
    /// The body's type, if it is known.
    pub(crate) output: Option<&'a Type>,
    /// The driver over nursery and body.
    pub(crate) drive: TokenStream,
    /// What it takes between the two.
    pub(crate) between: TokenStream,
    /// Where errors about the driver's types belong.
    pub(crate) site: Span,
    pub(crate) body: &'a Group,
    /// Mistakes in the body that leave it a body.
    pub(crate) errors: Errors,
}

impl Scope<'_> {
    /// The block, in braces.
    pub(crate) fn expand(self) -> Group {
        let span = self.body.span();
        let body = typed_body(self.errors, self.output, self.body);
        let Self { handle: Handle { name, ty }, open, witness, drive, between, site, .. } = self;
        let local = local(self.handle);
        let ty = ty.as_ref().map(|ty| quote!(: #ty));
        let reference = quote_spanned!(local.span()=> &#local);
        let shadows = self.handle.usable().map(|_| {
            let reason = "the macro binds the name twice, the user once";
            quote_spanned!(site=> #[allow(clippy::shadow_unrelated, reason = #reason)])
        });
        let block = quote_spanned! {site=>
            let __nursery = #reference;
            #shadows
            let #name #ty = ::core::convert::identity(__nursery);
            #witness
            #drive(__nursery, #between async #body).await
        };
        let block = braced(block, span);
        braced(quote_spanned!(site=> match #open { #local => #block }), span)
    }
}

/// The name of the nursery itself. A user's name with an underscore says that it is not used, but here it is.
fn local(handle: &Handle) -> TokenTree {
    handle.usable().cloned().unwrap_or_else(|| Ident::new("__local", Span::mixed_site()).into())
}

/// The user's block, which begins by telling rustc what it returns.
fn typed_body(errors: Errors, output: Option<&Type>, body: &Group) -> Group {
    let output = output.map(|ty| quote!(: #ty));
    let content = body.stream();
    let errors = errors.into_statements();
    let content = quote_spanned! {Span::mixed_site()=>
        #errors
        if false {
            let __returned #output = __witness.result();
            return __returned;
        }
        #content
    };
    braced(content, body.span())
}

/// A block at the place of the user's own, where errors about its end and its value belong.
pub(crate) fn braced(content: TokenStream, span: Span) -> Group {
    let mut block = Group::new(Delimiter::Brace, content);
    block.set_span(span);
    block
}
