//! Inside a room, imports run one way: no circle of files. A public type name stands in one room.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::rows::{Uses, files, source};

/// A file of `src`, by its name in it.
#[derive(Default)]
struct File {
    module: Vec<String>,
    /// What it defines at its top level, without its modules.
    defined: BTreeSet<String>,
    /// Where each name that a `use` brings in comes from; `*` for a glob.
    imported: Vec<(String, Vec<String>)>,
    /// Where its code leads, names that it only passes on left out.
    leads: Vec<Vec<String>>,
    /// Its public types and traits.
    public: Vec<String>,
}

/// Every name in code outside `use` items.
struct Names(BTreeSet<String>);

impl Visit<'_> for Names {
    fn visit_item_use(&mut self, _: &syn::ItemUse) {}

    fn visit_ident(&mut self, name: &syn::Ident) {
        self.0.insert(name.to_string());
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        let text = call.tokens.to_string();
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        self.0.extend(words.map(str::to_owned));
        visit::visit_macro(self, call);
    }
}

fn tests_only(attributes: &[syn::Attribute]) -> bool {
    (attributes.iter()).any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("cfg") && list.tokens.to_string().contains("test")
        }
        _ => false,
    })
}

fn name_of(item: &syn::Item) -> Option<(String, bool)> {
    let (name, visibility, is_type) = match item {
        syn::Item::Struct(item) => (&item.ident, &item.vis, true),
        syn::Item::Enum(item) => (&item.ident, &item.vis, true),
        syn::Item::Trait(item) => (&item.ident, &item.vis, true),
        syn::Item::Type(item) => (&item.ident, &item.vis, true),
        syn::Item::Const(item) => (&item.ident, &item.vis, false),
        syn::Item::Static(item) => (&item.ident, &item.vis, false),
        syn::Item::Fn(item) => (&item.sig.ident, &item.vis, false),
        syn::Item::Macro(item) => return Some((item.ident.as_ref()?.to_string(), false)),
        _ => return None,
    };
    let public = is_type && matches!(visibility, syn::Visibility::Public(_));
    Some((name.to_string(), public))
}

impl File {
    fn read(name: &str, code: &str) -> Self {
        let mut parsed = syn::parse_file(code).expect("it compiles");
        parsed.items.retain(|item| match item {
            syn::Item::Mod(module) => !tests_only(&module.attrs),
            syn::Item::Use(item) => !tests_only(&item.attrs),
            _ => true,
        });
        let mut names = Names(BTreeSet::new());
        names.visit_file(&parsed);
        let uses = Uses::of_parsed(name, &parsed);
        let mut file = Self {
            module: (name.trim_end_matches(".rs").split('/'))
                .map(str::to_owned)
                .collect(),
            ..Self::default()
        };
        for (item, public) in parsed.items.iter().filter_map(name_of) {
            if public {
                file.public.push(item.clone());
            }
            file.defined.insert(item);
        }
        for (number, (written, target)) in uses.found.into_iter().enumerate() {
            let alias = written.rsplit("::").next().expect("a path").to_owned();
            let known = names.0.contains(&alias);
            if !uses.passed_on.contains(&number) || known {
                file.leads.push(target.clone());
            }
            file.imported.push((alias, target));
        }
        file
    }
}

/// The files of `src`, with where each path leads.
struct House(BTreeMap<Vec<String>, File>);

impl House {
    fn read(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let apart = |name: &str| {
            name.ends_with("/tests.rs") || name.contains("/tests/") || name == "lib.rs"
        };
        Self(
            files
                .into_iter()
                .filter(|(name, _)| !apart(name))
                .map(|(name, code)| File::read(&name, &code))
                .map(|file| (file.module.clone(), file))
                .collect(),
        )
    }

    /// The module whose file defines what `path` names.
    fn defining(&self, path: &[String], depth: usize) -> Option<Vec<String>> {
        let length = (1..=path.len())
            .rev()
            .find(|n| self.0.contains_key(&path[..*n]))?;
        let module = &path[..length];
        let Some(name) = path.get(length) else {
            return Some(module.to_vec());
        };
        let file = &self.0[module];
        if depth == 0 || file.defined.contains(name) {
            return Some(module.to_vec());
        }
        let named = file.imported.iter().find(|(alias, target)| {
            alias == name && target.as_slice() != path && target.last() == Some(name)
        });
        match named {
            Some((_, target)) => self.defining(target, depth - 1),
            None => Some(module.to_vec()),
        }
    }

    /// From each file to the files of its room that it uses.
    fn arrows(&self) -> BTreeMap<&[String], BTreeSet<Vec<String>>> {
        let leads = |file: &File| {
            (file.leads.iter())
                .filter(|target| target.first() == file.module.first())
                .filter_map(|target| self.defining(target, 8))
                .filter(|target| *target != file.module)
                .collect()
        };
        (self.0.iter())
            .map(|(module, file)| (module.as_slice(), leads(file)))
            .collect()
    }

    /// Files that reach themselves, a line a circle.
    fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let reached = |from: &[String]| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&Vec<String>> = arrows[from].iter().collect();
            while let Some(module) = next.pop() {
                if seen.insert(module.clone()) {
                    next.extend(&arrows[module.as_slice()]);
                }
            }
            seen
        };
        let reached: BTreeMap<&[String], _> = arrows
            .keys()
            .map(|module| (*module, reached(module)))
            .collect();
        let mut circles = BTreeSet::new();
        for (module, beyond) in &reached {
            if beyond.contains(*module) {
                let circle: BTreeSet<String> = (beyond.iter())
                    .filter(|other| reached[other.as_slice()].contains(*module))
                    .map(|other| other.join("/"))
                    .collect();
                circles.insert(circle.into_iter().collect::<Vec<_>>().join(", "));
            }
        }
        circles.into_iter().collect()
    }

    /// Public types that two rooms have, with the rooms.
    fn shared_names(&self) -> Vec<String> {
        let mut rooms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in self.0.values() {
            for name in &file.public {
                rooms.entry(name).or_default().insert(&file.module[0]);
            }
        }
        (rooms.into_iter())
            .filter(|(_, rooms)| rooms.len() > 1)
            .map(|(name, rooms)| format!("{name}: {rooms:?}"))
            .collect()
    }
}

fn house(files: &[(&str, &str)]) -> House {
    House::read((files.iter()).map(|(name, code)| ((*name).to_owned(), (*code).to_owned())))
}

#[test]
fn no_new_circle_of_files_inside_a_room() {
    let house = House::read(files(&source("")));
    let arrows: usize = house.arrows().values().map(BTreeSet::len).sum();
    assert!(arrows > house.0.len() / 2, "imports are not found any more");
    assert_eq!(house.circles(), Vec::<String>::new());
}

#[test]
fn no_public_type_name_in_two_rooms() {
    let shared = House::read(files(&source(""))).shared_names();
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    for (parent, child) in [
        (
            "mod b; use b::B; pub struct A;",
            "use super::A; pub struct B;",
        ),
        (
            "mod b; pub use b::B; pub struct A(B);",
            "use super::A; pub struct B;",
        ),
        (
            "mod b; fn f() { b::g(); } pub fn a() {}",
            "pub fn g() { super::a(); }",
        ),
        (
            "mod b; fn f() { self::b::g(); } pub fn a() {}",
            "pub fn g() { crate::x::a(); }",
        ),
    ] {
        let circles = house(&[("x.rs", parent), ("x/b.rs", child)]).circles();
        assert_eq!(circles, ["x, x/b"], "{parent} {child}");
    }
    let siblings = [
        ("x.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("x/a.rs", "use super::B; pub struct A;"),
        ("x/b.rs", "use super::A; pub struct B;"),
    ];
    assert_eq!(house(&siblings).circles(), ["x/a, x/b"]);
}

#[test]
fn imports_that_run_one_way_are_no_circle() {
    for (parent, child) in [
        (
            "mod b; pub use b::B; pub struct A;",
            "use super::A; pub struct B;",
        ),
        ("mod b; use b::B; pub struct A(B);", "pub struct B;"),
        (
            "mod b; pub fn a() {}",
            "#[cfg(test)] mod tests { use super::super::a; } pub fn g() {}",
        ),
        (
            "#[cfg(test)] mod tests { use super::b::g; } mod b; pub fn a() {}",
            "use super::a; pub fn g() {}",
        ),
    ] {
        let circles = house(&[("x.rs", parent), ("x/b.rs", child)]).circles();
        assert_eq!(circles, Vec::<String>::new(), "{parent} {child}");
    }
}

#[test]
fn a_name_in_two_rooms_is_found_and_one_in_two_files_of_a_room_is_not() {
    let code = "pub struct Reply; pub(crate) struct Own;";
    let two = [("x.rs", code), ("x/y.rs", code), ("z.rs", code)];
    assert_eq!(house(&two).shared_names(), ["Reply: {\"x\", \"z\"}"]);
    assert_eq!(house(&two[..2]).shared_names(), Vec::<String>::new());
}
