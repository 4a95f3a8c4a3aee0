//! The answers as a table for reviewers, and as a diagram and a matrix for the document.

use std::fmt::Write as _;

use super::answer::{Answer, Kind, node, then};
use super::{inputs, states};

const NODES: [(&str, &str); 7] = [
    ("Open", "Open"),
    ("Closing", "Closing"),
    ("DrainingInGrace", "Draining, in its grace"),
    ("DrainingStopped", "Draining, stopped"),
    ("DrainingDaemons", "Draining, daemons left"),
    ("Finalizing", "Finalizing"),
    ("Closed", "Closed"),
];

fn label(node: &str) -> &'static str {
    NODES.iter().find(|(name, _)| *name == node).map_or("?", |(_, label)| label)
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}

/// One part per state: what each input does there, and in the end those that do nothing.
pub(crate) fn table(answers: &[Answer]) -> String {
    let mut text =
        "Every input in every state of a scope. Written by tests/lifecycle.rs: deadline at 60s, grace 10s,\n\
        warning after 30s. `->` the phase after it; in brackets what is decided so far, the next timer and the next\n\
        warning, counted from the opening of the scope; then the effects. A refusal says no.\n"
            .to_owned();
    for state in states::ALL {
        let (scope, now) = (state.reach)();
        let at = now - states::start();
        push(
            &mut text,
            format_args!("\n## {}\n\nat {at:?}: {} [{}]\n\n", state.name, label(node(&scope)), then(&scope)),
        );
        let here = || answers.iter().filter(|answer| answer.state == state.name);
        for answer in here().filter(|answer| matches!(answer.kind, Kind::Taken | Kind::Refused)) {
            let verb = if answer.kind == Kind::Refused { "refused" } else { "->" };
            let next = if answer.kind == Kind::Refused { "" } else { label(answer.node) };
            let effects = answer.effects.join(", ");
            let line = format!("{:<40} {verb} {next} [{}] {effects}", answer.input, answer.then);
            push(&mut text, format_args!("{}\n", line.trim_end()));
        }
        for (kind, what) in [
            (Kind::Ignored, "ignored"),
            (Kind::Forbidden, "against the contract"),
            (Kind::NotHere, "nothing that it could be about"),
        ] {
            let names: Vec<_> = here().filter(|answer| answer.kind == kind).map(|answer| answer.input).collect();
            if !names.is_empty() {
                push(&mut text, format_args!("\n{what}:\n    {}\n", names.join("\n    ")));
            }
        }
    }
    text
}

/// A state diagram in Mermaid's language. Inputs that leave a scope where it is are left out.
pub(crate) fn diagram(answers: &[Answer]) -> String {
    let mut text = "```mermaid\nstateDiagram-v2\n".to_owned();
    for (name, label) in NODES {
        push(&mut text, format_args!("    state \"{label}\" as {name}\n"));
    }
    text.push_str("    [*] --> Open\n");
    for (from, _) in NODES {
        for (to, _) in NODES.iter().filter(|(to, _)| *to != from) {
            let mut labels: Vec<&str> = Vec::new();
            let on_the_way = answers.iter().filter(|answer| answer.from == from && answer.node == *to);
            for answer in on_the_way.filter(|answer| answer.kind == Kind::Taken) {
                let method = method(answer.input);
                if !labels.contains(&method) {
                    labels.push(method);
                }
            }
            if !labels.is_empty() {
                push(&mut text, format_args!("    {from} --> {to}: {}\n", labels.join(", ")));
            }
        }
    }
    text.push_str("    Closed --> [*]\n```\n");
    text
}

/// The method of an input, without the variant.
fn method(input: &str) -> &str {
    input.split([':', ',', ' ']).next().unwrap_or(input)
}

/// Where each input leads from each node.
pub(crate) fn matrix(answers: &[Answer]) -> String {
    let mut text = "| input |".to_owned();
    for (_, label) in NODES {
        push(&mut text, format_args!(" {label} |"));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(NODES.len()));
    text.push('\n');
    for input in inputs::ALL {
        push(&mut text, format_args!("| {} |", input.name));
        for (from, _) in NODES {
            let here = answers.iter().filter(|answer| answer.from == from && answer.input == input.name);
            let mut cells: Vec<&str> = Vec::new();
            for answer in here {
                let cell = cell(answer);
                if !cells.contains(&cell) {
                    cells.push(cell);
                }
            }
            push(&mut text, format_args!(" {} |", cells.join("; ")));
        }
        text.push('\n');
    }
    text
}

fn cell(answer: &Answer) -> &'static str {
    match answer.kind {
        Kind::Taken if answer.node == answer.from => "stays",
        Kind::Taken => label(answer.node),
        Kind::Refused => "refused",
        Kind::Ignored => "ignored",
        Kind::Forbidden => "never",
        Kind::NotHere => "none",
    }
}

/// The document with what stands between the markers of that name replaced.
pub(crate) fn replace(document: &str, name: &str, generated: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), "<!-- generated: end -->");
    let (before, rest) = document.split_once(&begin).expect("docs/LIFECYCLE.md has the marker");
    let (_, after) = rest.split_once(end).expect("docs/LIFECYCLE.md has the end of the marker");
    format!("{before}{begin}{generated}{end}{after}")
}
