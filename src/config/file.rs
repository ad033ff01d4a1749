//! `marketrank.toml`: what flags and environment variables leave open.
//!
//! Its keys are the long names of the flags: `listen = "127.0.0.1:8080"`. A setting becomes the default of its flag, so a flag
//! stands above an environment variable, that above the file, and the file above what is built in.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgMatches, Command,
    error::{ContextKind, ContextValue},
};
use toml::de::{DeTable, DeValue};

/// Read where it lies in the working directory and no other file is named.
pub const DEFAULT_FILE: &str = "marketrank.toml";
/// The argument that names the file, itself no setting.
pub const CONFIG_ARGUMENT: &str = "config";

/// The settings of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    path: PathBuf,
    settings: BTreeMap<String, Setting>,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    line: usize,
    /// Several where the flag takes several.
    values: Vec<String>,
}

/// Why a configuration file cannot be used. No message repeats a value: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    #[error("the configuration file {path} cannot be read: {error}")]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{path}, line {line}: {reason}")]
    Line { path: PathBuf, line: usize, reason: String },
}

/// Parses the command line over the environment and the configuration file. Help and errors of the command line end the
/// process, as clap does it.
pub fn parse(command: Command) -> Result<(ArgMatches, Option<ConfigFile>), ConfigFileError> {
    parse_from(command, std::env::args_os().collect(), Path::new(DEFAULT_FILE))
        .map(|(matches, file)| (matches.unwrap_or_else(|error| error.exit()), file))
}

fn parse_from(
    command: Command,
    arguments: Vec<OsString>,
    default: &Path,
) -> Result<(Result<ArgMatches, clap::Error>, Option<ConfigFile>), ConfigFileError> {
    // Only the file's name is of interest yet: whatever else is wrong shows below.
    let first = command.clone().ignore_errors(true).try_get_matches_from(&arguments).ok();
    let named = first.as_ref().and_then(|found| found.get_one::<PathBuf>(CONFIG_ARGUMENT)).cloned();
    let Some(file) = ConfigFile::find(named.as_deref(), default)? else {
        return Ok((command.try_get_matches_from(arguments), None));
    };
    let command = file.apply(command)?;
    match command.try_get_matches_from(arguments) {
        Err(error) => match file.line_at_fault(&error) {
            Some(refused) => Err(refused),
            None => Ok((Err(error), Some(file))),
        },
        matches => Ok((matches, Some(file))),
    }
}

impl ConfigFile {
    fn find(named: Option<&Path>, default: &Path) -> Result<Option<Self>, ConfigFileError> {
        let path = named.unwrap_or(default);
        match std::fs::read_to_string(path) {
            Ok(text) => Self::read(path, &text).map(Some),
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ConfigFileError::Unreadable { path: path.to_owned(), error }),
        }
    }

    pub(crate) fn read(path: &Path, text: &str) -> Result<Self, ConfigFileError> {
        let line_of = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        let refuse = |line, reason| ConfigFileError::Line { path: path.to_owned(), line, reason };
        let table = DeTable::parse(text).map_err(|error| {
            refuse(
                error.span().map_or(1, |span| line_of(span.start)),
                format!("this is no TOML: {}", error.message()),
            )
        })?;
        let mut settings = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let line = line_of(key.span().start);
            let values = match value.get_ref() {
                DeValue::Array(values) => values.iter().map(|value| scalar(value.get_ref())).collect(),
                value => scalar(value).map(|value| vec![value]),
            };
            let key = key.get_ref().to_string();
            let values = values.ok_or_else(|| {
                refuse(line, format!("{key} must be a text, a number, true or false, or a list of these"))
            })?;
            settings.insert(key, Setting { line, values });
        }
        Ok(Self { path: path.to_owned(), settings })
    }

    /// The command with the settings as defaults of its flags.
    fn apply(&self, command: Command) -> Result<Command, ConfigFileError> {
        for (key, setting) in &self.settings {
            if !has_setting(&command, key) {
                let reason = format!("there is no setting {key:?}; `marketrank serve --help` names them all");
                return Err(self.refuse(setting, reason));
            }
        }
        Ok(self.set_defaults(command))
    }

    fn set_defaults(&self, command: Command) -> Command {
        command.mut_subcommands(|command| self.set_defaults(command)).mut_args(|argument| {
            match self.setting(&argument) {
                // Once in the life of the process: clap keeps texts for as long.
                Some(setting) => argument.default_values(
                    setting.values.iter().map(|value| &*Box::leak(value.clone().into_boxed_str())),
                ),
                None => argument,
            }
        })
    }

    fn setting(&self, argument: &Arg) -> Option<&Setting> {
        if is_setting(argument) { self.settings.get(argument.get_long()?) } else { None }
    }

    fn refuse(&self, setting: &Setting, reason: String) -> ConfigFileError {
        ConfigFileError::Line { path: self.path.clone(), line: setting.line, reason }
    }

    /// Where the value of this argument stands, if it stands here.
    pub fn place_of(&self, argument: &Arg) -> Option<String> {
        let setting = self.setting(argument)?;
        Some(format!("{}, line {}", self.path.display(), setting.line))
    }

    /// The file's error, where clap refused a value because it stands in the file.
    fn line_at_fault(&self, error: &clap::Error) -> Option<ConfigFileError> {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let flag = text(ContextKind::InvalidArg)?.strip_prefix("--")?;
        let key = flag.split([' ', '=']).next()?;
        let setting = self.settings.get(key)?;
        let value = text(ContextKind::InvalidValue)?;
        if !setting.values.iter().any(|ours| ours == value) {
            return None;
        }
        let why = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        Some(self.refuse(setting, format!("{key} cannot be what it is here{why}")))
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Whether the flag is one of the server's knobs, which all have an environment variable too.
pub fn is_setting(argument: &Arg) -> bool {
    argument.get_long().is_some() && argument.get_env().is_some() && argument.get_id() != CONFIG_ARGUMENT
}

fn has_setting(command: &Command, key: &str) -> bool {
    command.get_arguments().any(|argument| is_setting(argument) && argument.get_long() == Some(key))
        || command.get_subcommands().any(|command| has_setting(command, key))
}

#[cfg(test)]
mod tests {
    use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
    use tempfile::TempDir;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long, global = true, env = "MARKETRANK_TEST_CONFIG")]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, Subcommand)]
    enum Sub {
        Serve(Knobs),
    }

    #[derive(Debug, PartialEq, Args)]
    struct Knobs {
        #[arg(long, env = "MARKETRANK_TEST_PORT", default_value_t = 1)]
        port: u16,
        #[arg(long, env = "MARKETRANK_TEST_OPEN")]
        open: bool,
        #[arg(long, env = "MARKETRANK_TEST_NODES", value_delimiter = ',')]
        nodes: Vec<String>,
        #[arg(long, env = "MARKETRANK_TEST_KEY")]
        key: Option<String>,
        /// No knob: it has no environment variable.
        #[arg(long)]
        once: bool,
    }

    fn parsed(toml: &str, flags: &[&str]) -> Result<Knobs, String> {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("m.toml");
        std::fs::write(&file, toml).unwrap();
        let arguments = ["marketrank", "serve"].iter().chain(flags).map(OsString::from).collect();
        let (matches, _) = parse_from(Cli::command(), arguments, &file).map_err(|error| error.to_string())?;
        let cli = Cli::from_arg_matches(&matches.map_err(|error| error.to_string())?).unwrap();
        let Sub::Serve(knobs) = cli.command;
        Ok(knobs)
    }

    #[test]
    fn settings_stand_below_flags_and_above_what_is_built_in() {
        let toml = "port = 7\nopen = true\nnodes = [\"a\", \"b\"]\nkey = \"k\"\n";
        let knobs = parsed(toml, &[]).unwrap();
        let nodes = vec!["a".to_owned(), "b".to_owned()];
        let key = Some("k".to_owned());
        assert_eq!(knobs, Knobs { port: 7, open: true, nodes, key, once: false });
        let knobs = parsed(toml, &["--port", "9", "--nodes", "c"]).unwrap();
        assert_eq!((knobs.port, knobs.nodes), (9, vec!["c".to_owned()]));
        assert_eq!(parsed("port = 0x10", &[]).unwrap().port, 16);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        for (toml, line, named) in [
            ("port = 7\n\nprot = 8\n", 3, "\"prot\""),
            ("once = true\n", 1, "\"once\""),
            ("\nconfig = \"x\"\n", 2, "\"config\""),
            ("[serve]\nport = 7\n", 1, "serve must be a text"),
        ] {
            let error = parsed(toml, &[]).unwrap_err();
            assert!(error.contains(&format!("m.toml, line {line}: ")) && error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_named_with_its_line_unless_a_flag_stands_above_it() {
        let error = parsed("# ports\nport = 70000\n", &[]).unwrap_err();
        assert!(error.contains("m.toml, line 2: port"), "{error}");
        let error = parsed("port = 7\n", &["--port", "70000"]).unwrap_err();
        assert!(!error.contains("m.toml"), "{error}");
    }

    #[test]
    fn no_error_repeats_a_value_of_the_file() {
        for toml in ["key = \"s3cr3t\" x\n", "kay = \"s3cr3t\"\n", "key = s3cr3t\n", "port = \"s3cr3t\"\n"] {
            let error = parsed(toml, &[]).unwrap_err();
            assert!(error.contains("line 1") && !error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let error = parsed("", &["--config", "/nowhere/m.toml"]).unwrap_err();
        assert!(error.contains("/nowhere/m.toml"), "{error}");
    }
}
