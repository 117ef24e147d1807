//! The rows of modules: each module uses only modules in rows below its own.
//!
//! The code is parsed, macros, attributes and tests included. A module counts as used wherever a
//! path that begins with `crate`, `self`, `super` or the library's name leads into it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};

const LIBRARY: &str = "mqtt_presence_exporter";

/// The rows, the lowest first. The documentation of the library has the same table.
const ROWS: [&[&str]; 8] = [
    &["clock", "random", "secret", "telemetry"],
    &["presence", "limits", "net"],
    &["config"],
    &["aliyun"],
    &["sweep", "planner", "discovery", "exposition", "simulator"],
    &["web"],
    &["app"],
    &["main", "cli"],
];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// Whether `user` may use `used`. The binary has its row with `cli`, which is all it calls.
fn may_use(user: &str, module: &str) -> bool {
    user == module
        || (user, module) == ("main", "cli")
        || row(module).is_some_and(|below| row(user) > Some(below))
}

/// What one file uses.
pub(super) struct Uses {
    /// The module that is being read, from the root of the library; `main` for the binary.
    module: Vec<String>,
    /// Modules that the file declares, whose names begin paths without `self`.
    children: BTreeSet<String>,
    /// Every path that leads into this package: as it is written, and where it leads.
    pub(super) found: Vec<(String, Vec<String>)>,
    /// Those of `found` that a `pub use` passes on, by their number in it.
    pub(super) passed_on: BTreeSet<usize>,
    /// Modules whose file has another name, so that nobody could say what they use.
    elsewhere: Vec<String>,
}

impl Uses {
    /// Reads `code`, which stands in `file` below `src`.
    fn of(file: &str, code: &str) -> Self {
        let parsed = syn::parse_file(code).unwrap_or_else(|error| panic!("{file}: {error}"));
        Self::of_parsed(file, &parsed)
    }

    /// The same of code that was parsed.
    pub(super) fn of_parsed(file: &str, parsed: &syn::File) -> Self {
        let names = file
            .trim_end_matches(".rs")
            .split('/')
            .filter(|name| *name != "lib");
        let children = (parsed.items.iter())
            .filter_map(|item| match item {
                syn::Item::Mod(module) => Some(module.ident.to_string()),
                _ => None,
            })
            .collect();
        let mut uses = Self {
            module: names.map(str::to_owned).collect(),
            children,
            found: vec![],
            passed_on: BTreeSet::new(),
            elsewhere: vec![],
        };
        uses.visit_file(parsed);
        uses
    }

    /// What of it breaks the rules.
    fn offences(file: &str, code: &str) -> Vec<String> {
        let Self {
            module,
            found,
            elsewhere,
            ..
        } = Self::of(file, code);
        let user = module.first().map_or("lib", String::as_str);
        let mut offences: Vec<String> = elsewhere
            .iter()
            .map(|module| format!("{file}: `mod {module}` is in a file of another name"))
            .collect();
        for (written, target) in found {
            match target.first() {
                None => offences.push(format!("{file}: `{written}` takes the root as a whole")),
                Some(module) if row(module).is_none() => {
                    offences.push(format!("{file}: `{written}` is in no row"));
                }
                Some(module) if !may_use(user, module) => {
                    offences.push(format!(
                        "{file}: {user} must not use {module}, as in `{written}`"
                    ));
                }
                Some(_) => {}
            }
        }
        offences
    }

    /// Notes a path if it leads into this package.
    fn note(&mut self, path: &[String]) {
        let mut target = self.module.clone();
        let mut rest = path;
        while let [first, tail @ ..] = rest {
            match first.as_str() {
                "crate" => target.truncate(usize::from(
                    self.module.first().is_some_and(|name| name == "main"),
                )),
                LIBRARY => target.clear(),
                "super" => drop(target.pop()),
                "self" => {}
                _ => break,
            }
            rest = tail;
        }
        let child = |name: &String| self.children.contains(name);
        if rest.len() < path.len() || (path.len() > 1 && path.first().is_some_and(child)) {
            target.extend_from_slice(rest);
            self.found.push((path.join("::"), target));
        }
    }

    /// Notes all paths of a `use`.
    fn note_tree(&mut self, mut path: Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.note_tree(path, &step.tree);
            }
            syn::UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.note_tree(path.clone(), tree)),
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                if path.is_empty() || ident != "self" {
                    path.push(ident.to_string());
                }
                self.note(&path);
            }
            syn::UseTree::Glob(_) => self.note(&path),
        }
    }

    /// Notes all paths in code that is not parsed: the tokens of a macro or an attribute.
    fn note_tokens(&mut self, mut at: Cursor<'_>) {
        while !at.eof() {
            if let Some((inside, _, _, after)) = at.any_group() {
                self.note_tokens(inside);
                at = after;
            } else if let Some((name, after)) = at.ident() {
                at = match colons(after) {
                    Some(after) => self.note_path_in_tokens(vec![name.to_string()], after),
                    None => after,
                };
            } else if let Some((literal, after)) = at.literal() {
                // serde takes paths as strings.
                let text = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    .map(|literal| literal.value());
                if let Ok(path) = syn::parse_str::<syn::Path>(&text.unwrap_or_default()) {
                    self.visit_path(&path);
                }
                at = after;
            } else {
                at = at.token_tree().expect("there is more").1;
            }
        }
    }

    /// Notes what follows `path::`, and says where that ends.
    fn note_path_in_tokens<'a>(&mut self, mut path: Vec<String>, at: Cursor<'a>) -> Cursor<'a> {
        if let Some((name, after)) = at.ident() {
            path.push(name.to_string());
            if let Some(after) = colons(after) {
                return self.note_path_in_tokens(path, after);
            }
            self.note(&path);
            after
        } else if let Some((mut inside, _, _, after)) = at.any_group() {
            while !inside.eof() {
                inside = self.note_path_in_tokens(path.clone(), inside);
                while let Some((token, next)) = inside.token_tree() {
                    inside = next;
                    if token.to_string() == "," {
                        break;
                    }
                }
            }
            after
        } else {
            self.note(&path);
            at
        }
    }
}

/// What follows `::`, if that is next.
fn colons(at: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, at) = at.punct()?;
    let (second, at) = at.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(at)
}

impl Visit<'_> for Uses {
    fn visit_item_mod(&mut self, module: &syn::ItemMod) {
        if module
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("path"))
        {
            self.elsewhere.push(module.ident.to_string());
        }
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let first = self.found.len();
        self.note_tree(Vec::new(), &item.tree);
        if !matches!(item.vis, syn::Visibility::Inherited) {
            self.passed_on.extend(first..self.found.len());
        }
        item.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
    }

    fn visit_item_extern_crate(&mut self, item: &syn::ItemExternCrate) {
        if item.ident == "self" || item.ident == LIBRARY {
            self.note(&[LIBRARY.to_owned()]);
        }
    }

    /// A visibility says who may use, not what is used.
    fn visit_visibility(&mut self, _: &syn::Visibility) {}

    fn visit_path(&mut self, path: &syn::Path) {
        if path.segments.len() > 1 {
            self.note(
                &path
                    .segments
                    .iter()
                    .map(|segment| segment.ident.to_string())
                    .collect::<Vec<_>>(),
            );
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.visit_path(&call.path);
        self.note_tokens(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, attribute: &syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.note_tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        }
        visit::visit_attribute(self, attribute);
    }
}

pub(super) fn source(file: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)
}

/// Every file below `folder`: its path from `src` on, and its code.
pub(super) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(source(""))
                .expect("it is below")
                .to_str()
                .expect("names are UTF-8");
            files.push((
                name.to_owned(),
                fs::read_to_string(&path).expect("the file can be read"),
            ));
        }
    }
    files
}

fn library() -> syn::File {
    syn::parse_file(&fs::read_to_string(source("lib.rs")).expect("there is a library"))
        .expect("it can be parsed")
}

#[test]
fn every_module_uses_only_rows_below_its_own() {
    let files = files(&source(""));
    let offences: Vec<String> = files
        .iter()
        .flat_map(|(file, code)| Uses::offences(file, code))
        .collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
    let found: usize = files
        .iter()
        .map(|(file, code)| Uses::of(file, code).found.len())
        .sum();
    assert!(
        found > files.len(),
        "{found} uses in {} files: they are not seen any more",
        files.len()
    );
}

#[test]
fn every_module_is_in_a_row_and_the_root_holds_nothing_else() {
    let modules: BTreeSet<String> = library()
        .items
        .iter()
        .map(|item| match item {
            syn::Item::Mod(module) if module.content.is_none() => module.ident.to_string(),
            _ => panic!("the root declares modules and nothing else"),
        })
        .chain(["main".to_owned()])
        .collect();
    let rows: BTreeSet<String> = ROWS
        .iter()
        .copied()
        .flatten()
        .map(|module| (*module).to_owned())
        .collect();
    assert_eq!(modules, rows);
}

#[test]
fn the_documentation_has_the_same_rows() {
    let mut documented = Vec::new();
    for attribute in library().attrs {
        let syn::Meta::NameValue(syn::MetaNameValue {
            value: syn::Expr::Lit(line),
            ..
        }) = attribute.meta
        else {
            continue;
        };
        let syn::Lit::Str(line) = line.lit else {
            continue;
        };
        let line = line.value();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, number, modules, ..] = cells[..]
            && let Ok(number) = number.parse::<usize>()
        {
            let modules: Vec<String> = modules
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            documented.push((number, modules));
        }
    }
    let rows = ROWS.iter().enumerate().rev();
    let rows: Vec<_> = rows
        .map(|(number, row)| (number, row.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(documented, rows);
}

/// Code in `src/limits/tree.rs`, which may use the lowest row and its own module.
fn refused(code: &str) -> bool {
    !Uses::offences("limits/tree.rs", code).is_empty()
}

#[test]
fn what_leaves_the_module_for_its_row_or_above_is_refused() {
    for code in [
        "use crate::web;",
        "use crate::{clock::Clock, presence};",
        "use crate::{clock, config::{Env, file}};",
        "use crate::{self as root};",
        "use crate as root;",
        "use crate::*;",
        "use super::super::web::Web;",
        "use super::super::*;",
        "use self::super::super::presence;",
        "pub use crate::presence::Status;",
        "use crate::presence as facts;",
        "pub(crate) use super::super::net::{serve as run};",
        "extern crate self as root;",
        "fn f() { use crate::net::client; }",
        "fn f() { crate::presence::escape(\"\"); }",
        "fn f() -> Option<crate::presence::Status> { None }",
        "fn f(x: &dyn super::super::presence::PresenceSource) {}",
        "fn f() { Vec::<crate::web::Web>::new(); }",
        "fn f() { <crate::web::Web as Default>::default(); }",
        "impl crate::presence::PresenceSource for X {}",
        "fn f() { format!(\"{}\", crate::web::NAME); }",
        "fn f() { vec![super::super::presence::Status::Online]; }",
        "fn f() { select! { x = y => { crate::web::f::<u8>() } } }",
        "thing! { use crate::{clock, secret::{self, Secret}, web::X}; }",
        "macro_rules! f { () => { $crate::web::f() } }",
        "mod inner { use super::super::super::presence::Status; }",
        "#[cfg(test)] mod tests { use crate::presence::Status; }",
        "#[cfg(test)] mod tests { proptest! { fn f(x in crate::presence::any()) {} } }",
        "#[crate::web::route] fn f() {}",
        "#[cfg_attr(test, derive(crate::web::X))] struct X;",
        "#[serde(with = \"crate::web::x\")] struct X;",
        "#[path = \"../web.rs\"] mod web;",
        "fn f() { crate::nowhere::f(); }",
        "fn f() { mqtt_presence_exporter::web::f(); }",
        "fn f() { ::mqtt_presence_exporter::web::f(); }",
    ] {
        assert!(refused(code), "{code}");
    }
}

#[test]
fn what_goes_down_or_stays_in_the_module_is_allowed() {
    for code in [
        "use crate::{clock::Clock, secret, telemetry as log};",
        "use super::{LayerSpec, Rate, gate::Gate};",
        "use super::*;",
        "use super::super::clock;",
        "use crate::limits::{Limits, tests::world};",
        "use tokio::net::TcpListener;",
        "use serde::{self, web};",
        "fn f(self) { self.net(); Self::presence(); web::f(); }",
        "fn f() { format!(\"{}\", crate::clock::Clock::system()); log!(self.web, net::web); }",
        "mod inner { use super::super::gate; use super::super::super::clock; }",
        "#[cfg(test)] mod tests { use super::*; use crate::limits::Time; }",
        "#[serde(with = \"crate::limits::x\", rename = \"crate\")] pub(in crate::limits) struct X;",
        "pub(crate) struct X;",
        "/// See [`crate::web::Web`].\nfn f() {}",
    ] {
        assert!(
            !refused(code),
            "{code}: {:?}",
            Uses::offences("limits/tree.rs", code)
        );
    }
}

#[test]
fn the_binary_uses_the_library_and_the_library_not_the_binary() {
    let main = |code| Uses::offences("main.rs", code);
    assert_eq!(
        main("use mqtt_presence_exporter::{app, cli}; fn main() { crate::f(); }"),
        Vec::<String>::new()
    );
    assert!(!Uses::offences("cli.rs", "fn f() { crate::main::f(); }").is_empty());
    assert!(Uses::offences("cli.rs", "use crate::app;").is_empty());
    assert_eq!(
        Uses::offences("app/serve.rs", "use crate::{cli::Flags, web};"),
        ["app/serve.rs: app must not use cli, as in `crate::cli::Flags`"]
    );
}
