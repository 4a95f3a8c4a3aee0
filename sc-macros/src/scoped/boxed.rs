//! `#[async_trait]` expands before the attributes on the methods do. What is left for them is a function that returns
//! `Box::pin(async move { .. })`, with the user's body in a `let` inside it, behind others that move the arguments in.

use crate::scope::braced;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The body inside the box, and what stands around it.
pub(crate) struct BoxedBody {
    pub(crate) body: Group,
    /// The whole `async` block, and what it consists of around the body, if that is not all of it.
    block: Group,
    around: Option<(Vec<TokenTree>, Vec<TokenTree>)>,
    qualifiers: Vec<TokenTree>,
    arguments: Group,
    function: Vec<TokenTree>,
}

impl BoxedBody {
    /// Finds the body in the block of a function, if that is nothing but a boxed `async` block.
    pub(crate) fn find(function: &Group) -> Option<Self> {
        let mut function: Vec<TokenTree> = function.stream().into_iter().collect();
        let arguments = pop_group(&mut function, Delimiter::Parenthesis)?;
        let [.., TokenTree::Ident(pin)] = function.as_slice() else { return None };
        let is_path = |token: &TokenTree| matches!(token, TokenTree::Ident(_) | TokenTree::Punct(_));
        if pin != "pin" || !function.iter().all(is_path) {
            return None;
        }
        let mut qualifiers: Vec<TokenTree> = arguments.stream().into_iter().collect();
        let block = pop_group(&mut qualifiers, Delimiter::Brace)?;
        if !matches!(qualifiers.first(), Some(TokenTree::Ident(word)) if word == "async") || qualifiers.len() > 2 {
            return None;
        }
        let content: Vec<TokenTree> = block.stream().into_iter().collect();
        let (body, around) = match user_body(&content) {
            Some((at, body)) => (body.clone(), Some((content[..at].to_vec(), content[at + 1..].to_vec()))),
            None => (block.clone(), None),
        };
        Some(Self { body, block, around, qualifiers, arguments, function })
    }

    /// The function's block with another body.
    pub(crate) fn with_body(self, content: TokenStream) -> TokenStream {
        let Self { body, block, around, qualifiers, arguments, function } = self;
        let content = match around {
            Some((before, after)) => {
                let body = braced(content, body.span());
                before.into_iter().chain([body.into()]).chain(after).collect()
            }
            None => content,
        };
        let inside = qualifiers.into_iter().chain([braced(content, block.span()).into()]).collect();
        let mut call = Group::new(Delimiter::Parenthesis, inside);
        call.set_span(arguments.span());
        function.into_iter().chain([call.into()]).collect()
    }
}

/// The block in `let __ret: Type = { .. };` or `let _: () = { .. };`.
fn user_body(content: &[TokenTree]) -> Option<(usize, &Group)> {
    let start = content.windows(3).position(|tokens| match tokens {
        [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(colon)] => {
            word == "let" && (name == "__ret" || name == "_") && colon.as_char() == ':'
        }
        _ => false,
    })?;
    let end = content[start..].windows(3).position(|tokens| match tokens {
        [TokenTree::Punct(equals), TokenTree::Group(body), TokenTree::Punct(end)] => {
            equals.as_char() == '=' && body.delimiter() == Delimiter::Brace && end.as_char() == ';'
        }
        _ => false,
    })?;
    let at = start + end + 1;
    let TokenTree::Group(body) = &content[at] else { return None };
    Some((at, body))
}

fn pop_group(tokens: &mut Vec<TokenTree>, delimiter: Delimiter) -> Option<Group> {
    match tokens.pop()? {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}
