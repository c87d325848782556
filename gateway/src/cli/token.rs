//! `gateway token`: tokens for those who may ask.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use shared::config::{Role, StoreScope, TokenSettings};
use shared::runtime::program;

use crate::auth::token;

/// Shortest token whose hash may lie in a file: shorter ones can be guessed.
const MIN_TOKEN_BYTES: usize = 20;
/// Longest text that is read.
const MAX_TOKEN_BYTES: u64 = 4 << 10;

/// Make a token, or the hash of one
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(New),
    Hash(Hash),
}

/// Make a new token: it is shown once, and the settings get only its SHA-256
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gateway token new --name board --stores 1001,1002\n  \
                        gateway token new --name ops --role operator\n  \
                        gateway token new --name board --stores 1001 --output json\n\n\
                        Add the block that it prints to the gateway's settings; a gateway that runs reads it on SIGHUP.")]
struct New {
    /// For whom it is; names tell tokens apart in the settings
    #[arg(long, default_value = "token")]
    name: String,
    /// Ids of the stores that it may see, separated by commas; all if left out
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    stores: Vec<String>,
    /// What it may do
    #[arg(long, value_enum, default_value_t)]
    role: RoleArg,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Give the SHA-256 of a token that was made elsewhere, from standard input
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gateway token hash < token.txt\n\n\
                        The token must be long and random: openssl rand -hex 32")]
struct Hash {
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum RoleArg {
    /// Documents of its stores, and their refresh
    #[default]
    Reader,
    /// Everything
    Operator,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

pub(super) fn run(args: &Token) -> ExitCode {
    match &args.command {
        Command::New(args) => new(args).unwrap_or_else(|error| program::end::<anyhow::Error>(Err(error))),
        Command::Hash(args) => hash(args.output),
    }
}

fn new(args: &New) -> anyhow::Result<ExitCode> {
    let token = token::make().context("the system gives no random bytes")?;
    let stores = match &args.stores[..] {
        [] => StoreScope::All,
        [all] if all == "*" => StoreScope::All,
        stores => StoreScope::Listed(stores.iter().cloned().collect()),
    };
    let role = match args.role {
        RoleArg::Reader => Role::Reader,
        RoleArg::Operator => Role::Operator,
    };
    let settings = match TokenSettings::new(&args.name, token::hash(token.as_bytes()), stores, role) {
        Ok(settings) => settings,
        Err(error) => return Ok(program::wrong_usage(&error)),
    };
    println!("{}", shown(&token, &settings, args.output));
    Ok(ExitCode::SUCCESS)
}

fn shown(token: &str, settings: &TokenSettings, output: Output) -> String {
    let TokenSettings { name, stores, role, .. } = settings;
    match output {
        Output::Text => format!(
            "The token, shown only now; give it to whoever asks with it (Authorization: Bearer …):\n\n{token}\n\n\
             For the gateway's settings; it reads them again on SIGHUP:\n\n{settings}"
        ),
        Output::Json => {
            let stores = match stores {
                StoreScope::All => json!("*"),
                StoreScope::Listed(stores) => json!(stores),
            };
            let sha256 = settings.sha256_text();
            json!({"token": token, "name": name, "sha256": sha256, "stores": stores, "role": role})
                .to_string()
        }
    }
}

fn hash(output: Output) -> ExitCode {
    if std::io::stdin().is_terminal() {
        eprintln!("type the token, then Enter and Ctrl-D");
    }
    let mut text = String::new();
    if let Err(error) = std::io::stdin().lock().take(MAX_TOKEN_BYTES + 1).read_to_string(&mut text) {
        return program::wrong_usage(&format!("standard input cannot be read as text: {error}"));
    }
    match hash_of(&text) {
        Ok(sha256) => {
            match output {
                Output::Text => println!("{sha256}"),
                Output::Json => println!("{}", json!({ "sha256": sha256 })),
            }
            ExitCode::SUCCESS
        }
        Err(what) => program::wrong_usage(&what),
    }
}

/// SHA-256 of a token as a file holds it, with or without the end of its line.
fn hash_of(text: &str) -> Result<String, String> {
    let token = text.trim();
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a token is one word of visible ASCII characters".to_owned());
    }
    if token.len() < MIN_TOKEN_BYTES {
        return Err(format!(
            "the token has {} characters and could be guessed; it needs {MIN_TOKEN_BYTES}. Make one with: gateway token new",
            token.len()
        ));
    }
    if u64::try_from(token.len()).unwrap_or(u64::MAX) > MAX_TOKEN_BYTES {
        return Err(format!("the token is longer than {MAX_TOKEN_BYTES} characters"));
    }
    Ok(token::hash(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_valid_with_the_settings_that_come_with_it() {
        let made = token::make().unwrap();
        let stores = StoreScope::Listed(["a\"b".to_owned()].into());
        let settings = TokenSettings::new("n", token::hash(made.as_bytes()), stores, Role::Reader).unwrap();
        let json: serde_json::Value = serde_json::from_str(&shown(&made, &settings, Output::Json)).unwrap();
        assert_eq!(json["sha256"], hash_of(&format!("{made}\n")).unwrap());
        assert_eq!((&json["stores"], &json["role"]), (&json!(["a\"b"]), &json!("reader")));
        let text = shown(&made, &settings, Output::Text);
        assert_eq!(text.matches(&made).count(), 1);
        assert!(text.contains("[[access.tokens]]") && text.contains(&settings.sha256_text()), "{text}");
    }

    #[test]
    fn hashes_are_of_words_that_cannot_be_guessed() {
        // printf %s 01234567890123456789 | sha256sum
        let expected = "4e76ad8354461437c04ef9b9b242540b6406d782ff2c3fb28afdab5b423f88fe";
        for text in ["01234567890123456789", " 01234567890123456789\r\n"] {
            assert_eq!(hash_of(text).as_deref(), Ok(expected));
        }
        for text in ["", "secret", "0123456789 0123456789", "0123456789门0123456789", &"x".repeat(5000)] {
            assert!(hash_of(text).is_err(), "{text}");
        }
    }
}
