//! What the function returns. Whether that is a `Result` or nothing is told by the type's traits, not by its name.

use crate::errors::Errors;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{GenericArgument, PathArguments, ReturnType, Token, Type, TypeParamBound, TypePath, parse_quote};

const MESSAGE: &str = "a `#[scoped]` function returns `Result<T, E>`, or nothing";

pub(crate) enum Output {
    Unit,
    Type(Box<Type>),
}

impl Output {
    /// Of an `async fn`.
    pub(crate) fn read(output: &ReturnType, errors: &mut Errors) -> Option<Self> {
        match output {
            ReturnType::Default => Some(Self::Unit),
            ReturnType::Type(_, ty) => Self::of(ty, errors),
        }
    }

    /// Of a function that returns `Pin<Box<dyn Future<Output = ..>>>`.
    pub(crate) fn read_boxed(output: &ReturnType, errors: &mut Errors) -> Option<Self> {
        let ReturnType::Type(_, ty) = output else { return Some(Self::Unit) };
        let output = future_output(ty);
        if output.is_none() {
            errors.at(ty, MESSAGE);
        }
        Self::of(&output?, errors)
    }

    fn of(ty: &Type, errors: &mut Errors) -> Option<Self> {
        match ty {
            Type::Group(group) => return Self::of(&group.elem, errors),
            Type::Paren(paren) => return Self::of(&paren.elem, errors),
            Type::Tuple(tuple) if tuple.elems.is_empty() => return Some(Self::Unit),
            // Neither can be written in a body, to ask for its traits.
            Type::ImplTrait(_) | Type::Never(_) => {
                errors.at(ty, MESSAGE);
                return None;
            }
            _ => {}
        }
        let mut ty = ty.clone();
        infer_impl_trait(&mut ty);
        Some(Self::Type(Box::new(ty)))
    }

    pub(crate) fn is_unit(&self) -> bool {
        matches!(self, Self::Unit)
    }
}

impl ToTokens for Output {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Unit => quote!(()).to_tokens(tokens),
            Self::Type(ty) => ty.to_tokens(tokens),
        }
    }
}

/// `Output` of the future somewhere in a type.
fn future_output(ty: &Type) -> Option<Type> {
    match ty {
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            let mut types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
                types.next().cloned()
            } else {
                types.find_map(future_output)
            }
        }
        Type::TraitObject(object) => bound_output(&object.bounds),
        Type::Group(group) => future_output(&group.elem),
        Type::Paren(paren) => future_output(&paren.elem),
        _ => None,
    }
}

fn bound_output(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(assoc.ty.clone()),
            _ => None,
        })
    })
}

/// Writes `_` for `impl Trait`, which a body cannot name.
fn infer_impl_trait(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = parse_quote!(_),
        Type::Path(TypePath { path, .. }) => {
            for segment in &mut path.segments {
                let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { continue };
                for argument in &mut arguments.args {
                    if let GenericArgument::Type(ty) = argument {
                        infer_impl_trait(ty);
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer_impl_trait),
        Type::Reference(reference) => infer_impl_trait(&mut reference.elem),
        Type::Array(array) => infer_impl_trait(&mut array.elem),
        Type::Slice(slice) => infer_impl_trait(&mut slice.elem),
        Type::Group(group) => infer_impl_trait(&mut group.elem),
        Type::Paren(paren) => infer_impl_trait(&mut paren.elem),
        _ => {}
    }
}
