//! The configuration in force, and where each part of it comes from.

use clap::{Arg, ArgMatches, Command, parser::ValueSource};

use super::file::{ConfigFile, is_setting};

/// A knob, its value, and who set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The flag without its dashes.
    pub name: String,
    /// Three stars where it is a secret.
    pub value: String,
    pub source: String,
}

/// Every setting of this subcommand, in the order of its help.
pub fn effective(command: &Command, matches: &ArgMatches, file: Option<&ConfigFile>) -> Vec<Effective> {
    let settings = command.get_arguments().filter(|argument| is_setting(argument));
    settings
        .filter_map(|argument| {
            let name = argument.get_long()?.to_owned();
            let source = source_of(argument, matches, file);
            Some(Effective { name, value: value_of(argument, matches), source })
        })
        .collect()
}

fn value_of(argument: &Arg, matches: &ArgMatches) -> String {
    let raw = matches.get_raw(argument.get_id().as_str());
    let values: Vec<String> =
        raw.into_iter().flatten().map(|value| value.to_string_lossy().into_owned()).collect();
    match values.is_empty() {
        true => "-".to_owned(),
        false if argument.is_hide_env_values_set() => "***".to_owned(),
        false => values.join(","),
    }
}

fn source_of(argument: &Arg, matches: &ArgMatches, file: Option<&ConfigFile>) -> String {
    match matches.value_source(argument.get_id().as_str()) {
        Some(ValueSource::CommandLine) => "command line".to_owned(),
        Some(ValueSource::EnvVariable) => {
            argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        _ => file.and_then(|file| file.place_of(argument)).unwrap_or_else(|| "default".to_owned()),
    }
}
