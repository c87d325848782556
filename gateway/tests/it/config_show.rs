//! `gateway config show` as a process.

use std::process::Command;

#[test]
fn options_of_the_gateway_are_origins_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, "[gateway]\nlisten = \"127.0.0.1:1\"\nthreads = 2\n[near]\nenabled = true")
        .unwrap();
    let args =
        ["--listen", "127.0.0.1:2", "--listen", "unix:/run/a", "--insecure", "--redis", "redis://:secret@h"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.args(["config", "show", "--config"]).arg(&file).args(args);
    let told = command.args(["--changed", "gateway", "access", "redis"]).output().unwrap();
    let expected = format!(
        "redis.url        \"redis://h\"                     option --redis\n\
         gateway.listen   [\"127.0.0.1:2\", \"unix:/run/a\"]  option --listen\n\
         gateway.threads  2                               {}\n\
         access.insecure  true                            option --insecure\n",
        file.display()
    );
    assert_eq!(String::from_utf8(told.stdout).unwrap(), expected);
    assert_eq!(told.status.code(), Some(0));
}
