//! No file of a crate uses a file that uses it, on whatever way round.
//!
//! The files are read with `syn`: each path that begins with `crate`, `self`, `super` or a child
//! module is an arrow to the file that defines what it names, through re-exports. What only tests
//! use does not count, nor do paths inside of macros.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, UseTree};

/// The path of a module or of an item from the root of its crate.
type Names = Vec<String>;

/// What a module has besides items of its own.
#[derive(Default)]
struct Module {
    file: usize,
    /// What names in it stand for that are defined elsewhere in the crate.
    imports: BTreeMap<String, Names>,
}

#[derive(Default)]
struct Sources {
    files: Vec<PathBuf>,
    modules: BTreeMap<Names, Module>,
    /// Which file names what.
    uses: Vec<(usize, Names)>,
}

impl Sources {
    fn of_crate(root: &Path) -> Self {
        let mut sources = Self::default();
        sources.read_file(root.to_owned(), Vec::new());
        sources
    }

    fn read_file(&mut self, path: PathBuf, module: Names) {
        let text = fs::read_to_string(&path).expect("a readable file");
        let parsed: File = syn::parse_file(&text).expect("Rust");
        let file = self.files.len();
        self.files.push(path);
        self.add_module(file, &module);
        let mut reader = Reader {
            children: children(&parsed.items),
            sources: self,
            file,
            module,
        };
        reader.visit_file(&parsed);
    }

    fn add_module(&mut self, file: usize, module: &Names) {
        let entry = Module {
            file,
            ..Module::default()
        };
        self.modules.insert(module.clone(), entry);
    }

    /// The file in which `path` is defined.
    fn defining_file(&self, path: &[String], steps: usize) -> Option<usize> {
        let depth = (0..=path.len())
            .rev()
            .find(|depth| self.modules.contains_key(&path[..*depth]))?;
        let (module, rest) = (&self.modules[&path[..depth]], &path[depth..]);
        let Some((name, after)) = rest.split_first() else {
            return Some(module.file);
        };
        if steps == 0 {
            return Some(module.file);
        }
        if let Some(target) = module.imports.get(name) {
            let target: Names = target.iter().chain(after).cloned().collect();
            return self.defining_file(&target, steps - 1);
        }
        Some(module.file)
    }

    /// The arrows between different files.
    fn arrows(&self) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut arrows: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (from, path) in &self.uses {
            if let Some(to) = self.defining_file(path, 8).filter(|to| to != from) {
                arrows.entry(*from).or_default().insert(to);
            }
        }
        arrows
    }

    /// The sets of files that can all be reached from one another.
    fn circles(&self) -> BTreeSet<BTreeSet<PathBuf>> {
        let arrows = self.arrows();
        let reachable: Vec<BTreeSet<usize>> = (0..self.files.len())
            .map(|from| reach(&arrows, from))
            .collect();
        let circle = |from: &usize| -> BTreeSet<PathBuf> {
            let mutual = reachable[*from].iter();
            mutual
                .filter(|to| reachable[**to].contains(from))
                .map(|to| self.files[*to].clone())
                .collect()
        };
        (0..self.files.len())
            .filter(|from| reachable[*from].contains(from))
            .map(|from| circle(&from))
            .collect()
    }
}

fn reach(arrows: &BTreeMap<usize, BTreeSet<usize>>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(at) = waiting.pop() {
        for to in arrows.get(&at).into_iter().flatten() {
            if reached.insert(*to) {
                waiting.push(*to);
            }
        }
    }
    reached
}

fn children(items: &[Item]) -> BTreeSet<String> {
    let modules = items.iter().filter_map(|item| match item {
        Item::Mod(module) if !is_of_tests(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    });
    modules.collect()
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

/// Walks one file, module by module.
struct Reader<'a> {
    sources: &'a mut Sources,
    file: usize,
    module: Names,
    /// The modules that are declared in `module`.
    children: BTreeSet<String>,
}

impl Reader<'_> {
    /// The path from the root of the crate that `path` means here; `None` when it leads elsewhere.
    fn absolute(&self, path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let mut base = self.module.clone();
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop()?;
                let mut rest = rest;
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
                base.extend_from_slice(rest);
                return Some(base);
            }
            child if self.children.contains(child) => base.push(first.clone()),
            _ => return None,
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    fn note(&mut self, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.sources.uses.push((self.file, path));
        }
    }

    fn import(&mut self, prefix: &mut Names, tree: &UseTree) {
        let (name, renamed) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(prefix, &path.tree);
                prefix.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(prefix, tree);
                }
                return;
            }
            UseTree::Glob(_) => {
                self.note(prefix);
                return;
            }
            UseTree::Name(name) => (name.ident.to_string(), None),
            UseTree::Rename(rename) => (rename.ident.to_string(), Some(rename.rename.to_string())),
        };
        let mut path = prefix.clone();
        if name != "self" || path.is_empty() {
            path.push(name);
        }
        self.note(&path);
        if let (Some(target), Some(last)) = (self.absolute(&path), path.last().cloned()) {
            let name = renamed.unwrap_or(last);
            self.here().imports.insert(name, target);
        }
    }

    fn here(&mut self) -> &mut Module {
        let module = self.sources.modules.get_mut(&self.module);
        module.expect("added before it is walked")
    }

    /// Where the file of a child module is.
    fn file_of(&self, module: &ItemMod) -> PathBuf {
        let file = &self.sources.files[self.file];
        let folder = file.parent().expect("a folder");
        let given = module.attrs.iter().find_map(|attribute| {
            let value = &attribute.meta.require_name_value().ok()?.value;
            match value {
                syn::Expr::Lit(literal) if attribute.path().is_ident("path") => {
                    match &literal.lit {
                        syn::Lit::Str(path) => Some(folder.join(path.value())),
                        _ => None,
                    }
                }
                _ => None,
            }
        });
        let stem = file.file_stem().expect("a name");
        let folder = match stem.to_str() {
            Some("lib" | "main" | "mod") => folder.to_owned(),
            _ => folder.join(stem),
        };
        let name = module.ident.to_string();
        let beside = folder.join(format!("{name}.rs"));
        given.unwrap_or(if beside.exists() {
            beside
        } else {
            folder.join(name).join("mod.rs")
        })
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !is_of_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let mut path = self.module.clone();
        path.push(module.ident.to_string());
        let Some((_, items)) = &module.content else {
            let file = self.file_of(module);
            return self.sources.read_file(file, path);
        };
        self.sources.add_module(self.file, &path);
        let outer = std::mem::replace(&mut self.module, path);
        let siblings = std::mem::replace(&mut self.children, children(items));
        items.iter().for_each(|item| self.visit_item(item));
        (self.module, self.children) = (outer, siblings);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&mut Vec::new(), &item.tree);
    }

    /// Who may see an item is no use of theirs.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let names: Names = segments.map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }
}

fn roots() -> BTreeMap<String, PathBuf> {
    let root = super::documents::root();
    let mut roots = BTreeMap::from([(String::from("recant"), root.join("src/lib.rs"))]);
    for entry in fs::read_dir(root.join("crates")).expect("crates") {
        let folder = entry.expect("a folder");
        let name = folder.file_name().into_string().expect("a plain name");
        roots.insert(name, folder.path().join("src/lib.rs"));
    }
    roots
}

#[test]
fn no_file_uses_one_that_uses_it() {
    let (mut wrong, mut arrows) = (Vec::new(), 0);
    for (name, root) in roots() {
        let sources = Sources::of_crate(&root);
        arrows += sources.arrows().len();
        let circles = sources.circles();
        let files: usize = circles.iter().map(BTreeSet::len).sum();
        if files > 0 {
            wrong.push(format!("{name}: {files} files in circles: {circles:#?}"));
        }
    }
    assert!(
        arrows > 200,
        "the sources were not read: {arrows} files use another"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
