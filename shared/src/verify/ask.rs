//! What both commands take from the command line: which gateways to ask as whom, and how the report is written.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::Report;
use super::served::Asking;
use crate::config::process_environment;
use crate::runtime::program::{self, print};
use crate::tls;

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Address of a gateway to ask (may be repeated)
    #[arg(long, value_name = "URL")]
    gateway: Vec<String>,
    /// File that holds a token which the gateways know, instead of HOTSHELF_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authority of https gateways, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For programs
    Json,
}

impl VerifyArgs {
    /// Whom to ask.
    ///
    /// # Errors
    /// The exit code, after it was told that the file of the token cannot be read.
    pub fn asking(&self) -> Result<Asking, ExitCode> {
        let token = match &self.token_file {
            Some(path) => {
                Some(tls::read_password("--token-file", path).map_err(|error| program::wrong_usage(&error))?)
            }
            None => process_environment("HOTSHELF_TOKEN"),
        };
        Ok(Asking { urls: self.gateway.clone(), token, ca: self.ca.clone() })
    }

    /// Writes the report; the exit code says whether nothing failed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn told(&self, report: &Report) -> std::io::Result<ExitCode> {
        match self.output {
            Form::Text => print(report)?,
            Form::Json => print(format!("{:#}", report.json()))?,
        }
        Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
