//! Units of systemd: what they say, whether systemd accepts them, and their commands as systemd would run them.

use std::path::Path;
use std::process::Command;

use crate::binary::find;

/// Most that `systemd-analyze security` may find exposed, in tenths.
const EXPOSURE: u32 = 25;

/// A unit as its file says.
#[derive(Clone, Debug)]
pub struct Unit {
    name: String,
    text: String,
}

impl Unit {
    /// The unit of a file.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn read(path: &str) -> Self {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { name, text }
    }

    /// An instance of this template.
    #[must_use]
    pub fn instance(&self, instance: &str) -> Self {
        let name = self.name.replace('@', &format!("@{instance}"));
        Self { name, text: self.text.replace("%i", instance) }
    }

    /// The same with another text in place of each of these.
    ///
    /// # Panics
    /// If one of them does not occur.
    #[must_use]
    pub fn with(&self, replaced: &[(&str, &str)]) -> Self {
        let mut unit = self.clone();
        for (old, new) in replaced {
            assert!(unit.text.contains(old), "{old} is not in {}", self.name);
            unit.text = unit.text.replace(old, new);
        }
        unit
    }

    /// All values of a key, in order.
    #[must_use]
    pub fn values(&self, key: &str) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    }

    /// The last value of a key.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn value(&self, key: &str) -> &str {
        self.values(key).pop().unwrap_or_else(|| panic!("{} has no {key}=", self.name))
    }

    /// A line of command with the variables that the unit sets, as systemd would run it.
    ///
    /// # Panics
    /// If the line is empty.
    #[must_use]
    pub fn command(&self, line: &str) -> Command {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command.envs(self.values("Environment").into_iter().map(|pair| pair.split_once('=').unwrap()));
        command
    }

    /// Asks systemd whether it would take these units without a word, and how much of the machine its services could
    /// reach.
    ///
    /// # Panics
    /// If it says anything, or finds more exposed than it should be.
    pub fn check(units: &[Self]) {
        let analyze = find("systemd-analyze", "systemd");
        let folder = tempfile::tempdir().unwrap();
        let write = |unit: &Self| {
            let path = folder.path().join(&unit.name);
            std::fs::write(&path, &unit.text).unwrap();
            path
        };
        let paths: Vec<_> = units.iter().map(write).collect();
        let told = |command: &mut Command| {
            let output = command.output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(text).unwrap())
        };
        // Manual pages come with the package.
        let verified = told(Command::new(&analyze).args(["verify", "--man=no"]).args(&paths));
        assert_eq!(verified, (true, String::new()), "systemd-analyze verify");
        for path in paths.iter().filter(|path| path.extension().is_some_and(|kind| kind == "service")) {
            let limit = format!("--threshold={EXPOSURE}");
            let judged = told(
                Command::new(&analyze).args(["security", "--offline=true", "--no-pager", &limit]).arg(path),
            );
            assert!(judged.0, "{}", judged.1);
        }
    }
}
