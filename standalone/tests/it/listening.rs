//! The program's address, before any data are made.

use std::process::Command;

#[test]
fn other_machines_are_not_let_in_by_chance() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_standalone"));
    let output = command.args(["--listen", "0.0.0.0:0"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.contains("--insecure"), "{told}");
}
