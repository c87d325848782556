//! The page's JavaScript modules as one file: each a function of its own that gives what the module exports, in the order in which
//! they need each other. A browser asks once instead of forty times, and one file compresses better than many.
//!
//! It reads what the modules of `gateway/page/` are written in, and refuses all else: imports and exports on lines of their own,
//! no circles, no exported variables that change. Whatever passes means the same as the modules do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Why modules cannot be put together: which module, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{module}: {what}")]
pub(super) struct BundleError {
    module: String,
    what: String,
}

/// A module on its way into the bundle.
#[derive(Debug, Default)]
struct Module {
    code: String,
    exports: Vec<String>,
}

struct Bundle<'a> {
    modules: &'a BTreeMap<String, String>,
    /// Modules in the order of their code; a module that is being read has no place yet.
    places: BTreeMap<&'a str, Option<usize>>,
    code: String,
}

/// Puts a module together with all that it imports.
///
/// # Errors
/// If a module is missing, or written in a way that is not understood.
pub(super) fn bundle(modules: &BTreeMap<String, String>, entry: &str) -> Result<String, BundleError> {
    let mut bundle = Bundle { modules, places: BTreeMap::new(), code: String::new() };
    bundle.add(entry, entry)?;
    Ok(bundle.code)
}

impl<'a> Bundle<'a> {
    /// Adds a module behind those that it imports, unless it is there already; gives its place.
    fn add(&mut self, name: &str, importer: &str) -> Result<usize, BundleError> {
        let fault = |what: String| BundleError { module: importer.to_owned(), what };
        let (name, text) =
            self.modules.get_key_value(name).ok_or_else(|| fault(format!("there is no {name} to import")))?;
        match self.places.get(name.as_str()) {
            Some(Some(place)) => return Ok(*place),
            Some(None) => return Err(fault(format!("{name} imports it in turn"))),
            None => {}
        }
        self.places.insert(name, None);
        let module = self.read(name, text)?;
        let place = self.places.values().flatten().count();
        let exports = module.exports.join(", ");
        // Nothing of it can fail to be written into a text.
        let _ =
            write!(self.code, "const m{place} = (() => {{\n{}return {{ {exports} }};\n}})();\n", module.code);
        self.places.insert(name, Some(place));
        Ok(place)
    }

    fn read(&mut self, name: &'a str, text: &str) -> Result<Module, BundleError> {
        let fault =
            |line: &str| BundleError { module: name.to_owned(), what: format!("not understood: {line}") };
        let mut module = Module::default();
        for line in text.lines() {
            if let Some(import) = line.strip_prefix("import ") {
                let (names, from) = imported(import).ok_or_else(|| fault(line))?;
                let place = self.add(from, name)?;
                // `import text from` takes the default, `import { a as b } from` names.
                let _ = match names.strip_prefix('{') {
                    Some(_) => writeln!(module.code, "const {} = m{place};", names.replace(" as ", ": ")),
                    None => writeln!(module.code, "const {names} = m{place}.fallback;"),
                };
            } else if let Some(export) = line.strip_prefix("export default ") {
                module.exports.push("fallback".to_owned());
                let _ = writeln!(module.code, "const fallback = {export}");
            } else if let Some(export) = line.strip_prefix("export ") {
                module.exports.push(exported(export).ok_or_else(|| fault(line))?.to_owned());
                let _ = writeln!(module.code, "{export}");
            } else if let Some((before, rest)) = line.split_once("import(\"./") {
                let (from, after) = rest.split_once("\")").ok_or_else(|| fault(line))?;
                let place = self.add(from, name)?;
                let _ = writeln!(module.code, "{before}Promise.resolve(m{place}){after}");
            } else {
                let _ = writeln!(module.code, "{line}");
            }
        }
        Ok(module)
    }
}

/// What an import names, and the module it is of.
fn imported(import: &str) -> Option<(&str, &str)> {
    let (names, from) = import.split_once(" from \"./")?;
    let whole = names.strip_prefix('{').is_none_or(|names| names.ends_with('}'));
    let plain = !names.contains('*') && (names.starts_with('{') || !names.contains(','));
    Some((names, from.strip_suffix("\";")?)).filter(|_| whole && plain)
}

/// The name of an exported constant, function or class.
fn exported(export: &str) -> Option<&str> {
    let kinds = ["const ", "function ", "function* ", "async function ", "async function* ", "class "];
    let rest = kinds.iter().find_map(|kind| export.strip_prefix(kind))?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'))?;
    rest.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn modules(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn each_module_comes_once_and_behind_what_it_needs() {
        let modules = modules(&[
            (
                "app.js",
                "import { a, b as c } from \"./a.js\";\nimport words from \"./words.js\";\nconst later = import(\"./b.js\");\n",
            ),
            ("a.js", "export const a = 1;\nexport async function b() {\n}\n"),
            ("b.js", "import { a } from \"./a.js\";\nexport class B {}\n"),
            ("words.js", "export default {\n};\n"),
            ("unused.js", "??"),
        ]);
        let expected = "const m0 = (() => {\nconst a = 1;\nasync function b() {\n}\nreturn { a, b };\n})();\n\
                        const m1 = (() => {\nconst fallback = {\n};\nreturn { fallback };\n})();\n\
                        const m2 = (() => {\nconst { a } = m0;\nclass B {}\nreturn { B };\n})();\n\
                        const m3 = (() => {\nconst { a, b: c } = m0;\nconst words = m1.fallback;\n\
                        const later = Promise.resolve(m2);\nreturn {  };\n})();\n";
        assert_eq!(bundle(&modules, "app.js").unwrap(), expected);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, what) in [
            ("import { a } from \"./none.js\";\n", "there is no none.js"),
            ("import \"./a.js\";\n", "not understood"),
            ("import * as a from \"./a.js\";\n", "not understood"),
            ("import x, { a } from \"./a.js\";\n", "not understood"),
            ("import {\n  a } from \"./a.js\";\n", "not understood"),
            ("export let a = 1;\n", "not understood"),
            ("export { a };\n", "not understood"),
            ("export * from \"./a.js\";\n", "not understood"),
            ("import { a } from \"./app.js\";\n", "imports it in turn"),
        ] {
            let modules = modules(&[("app.js", text), ("a.js", "export const a = 1;\n")]);
            let error = bundle(&modules, "app.js").unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
