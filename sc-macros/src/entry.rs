//! `#[main]` and `#[test]`: Tokio's attributes around a root scope.
//!
//! The arguments go to Tokio's attribute as they are, so that both accept what that one accepts.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{ItemFn, ReturnType};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Main,
    Test,
}

impl Entry {
    const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Test => "test",
        }
    }
}

pub(crate) fn generate(entry: Entry, arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) if function.sig.asyncness.is_some() => expand(entry, arguments, &function),
        Ok(function) => {
            let name = entry.name();
            let message =
                format!("`#[sc_tokio::{name}]` opens a scope and needs an `async fn`: write `async` before `fn`");
            let error = syn::Error::new_spanned(function.sig.fn_token, message).into_compile_error();
            quote!(#error #item)
        }
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#error #item)
        }
    }
}

fn expand(entry: Entry, arguments: &TokenStream, function: &ItemFn) -> TokenStream {
    let ItemFn { attrs, vis, sig, block, .. } = function;
    let output = match &sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    let (attribute, run) = match entry {
        Entry::Main => (quote!(::tokio::main), quote_spanned!(Span::mixed_site()=> ::sc_tokio::__private::run_main)),
        Entry::Test => (quote!(::tokio::test), quote_spanned!(Span::mixed_site()=> ::sc_tokio::__private::run_test)),
    };
    let arguments = (!arguments.is_empty()).then(|| quote!((#arguments)));
    quote! {
        #[#attribute #arguments]
        #(#attrs)*
        #vis #sig {
            #run::<#output, _>(async move #block).await
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn shown(entry: Entry, arguments: &TokenStream, item: &TokenStream) -> String {
        let file = syn::parse2(generate(entry, arguments, item)).expect("an expansion is a file of items");
        prettyplease::unparse(&file)
    }

    #[test]
    fn main_runs_its_body_in_a_root() {
        let shown =
            shown(Entry::Main, &quote!(flavor = "current_thread"), &quote! { async fn main() -> R { work().await } });
        expect![[r#"
            #[::tokio::main(flavor = "current_thread")]
            async fn main() -> R {
                ::sc_tokio::__private::run_main::<R, _>(async move { work().await }).await
            }
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn test_keeps_the_attributes_of_the_function() {
        let shown = shown(Entry::Test, &quote!(), &quote! { #[should_panic] async fn fails() { panic!() } });
        expect![[r"
            #[::tokio::test]
            #[should_panic]
            async fn fails() {
                ::sc_tokio::__private::run_test::<(), _>(async move { panic!() }).await
            }
        "]]
        .assert_eq(&shown);
    }

    #[test]
    fn a_function_that_is_not_async_is_told_so_and_still_emitted() {
        let shown = shown(Entry::Main, &quote!(), &quote! { fn main() {} });
        assert!(shown.contains("write `async` before `fn`") && shown.contains("fn main() {}"), "{shown}");
    }
}
