//! Which room may name which: the `use` lines and paths of the source hold to `docs/ARCHITECTURE.md`.

use std::path::{Path, PathBuf};

/// A room, and the rooms it may name beside itself.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("market", &[]),
    ("feed", &["market"]),
    ("estimate", &["market"]),
    ("engine", &["market", "feed", "estimate"]),
    ("insight", &["market", "estimate"]),
    ("app", &["market", "estimate", "engine", "insight"]),
    ("ui", &["market", "estimate", "engine", "insight", "app"]),
    ("picture", &["app", "ui"]),
    ("term", &[]),
    ("sim", &["market"]),
    ("store", &["market", "feed", "estimate", "engine"]),
    ("config", &["market", "feed", "estimate", "store", "app"]),
];

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The rooms a source text names, by `crate::room`.
fn named(text: &str) -> Vec<String> {
    let code = text.lines().map(|l| l.split("//").next().unwrap_or(""));
    let mut rooms = Vec::new();
    for line in code {
        let mut rest = line;
        while let Some(at) = rest.find("crate::") {
            rest = &rest[at + "crate::".len()..];
            let grouped = rest.strip_prefix('{').map(|inner| inner.split('}').next().unwrap_or(inner));
            let names: Vec<&str> = grouped.map_or_else(|| vec![rest], |inner| inner.split(',').collect());
            for name in names {
                let end = name.trim_start().find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = name.trim_start();
                rooms.push(name[..end.unwrap_or(name.len())].to_owned());
            }
        }
    }
    rooms
}

#[test]
fn arrows_between_rooms_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    assert!(all.len() > 40);
    let mut wrong = Vec::new();
    for path in all {
        let inside = path.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some((_, allowed)) = ALLOWED.iter().find(|(r, _)| *r == room) else { continue };
        for name in named(&std::fs::read_to_string(&path).unwrap()) {
            if name != room && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{} names {name}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_forbidden_arrow_would_be_seen() {
    assert_eq!(named("use crate::feed::status;"), ["feed"]);
    assert_eq!(named("use crate::{feed, market::Price};"), ["feed", "market"]);
    assert_eq!(named("let x = crate::engine::INPUTS; // crate::ui"), ["engine"]);
}
