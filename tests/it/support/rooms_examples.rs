//! Small houses that break or keep each rule of `rooms`;
//! a checker that finds nothing anywhere would otherwise pass.

use crate::rooms::{Plan, between, exports, platform_cfgs, table};

const TABLE: &str = "\
| room | why | may import | may not |
|---|---|---|---|
| `vars`, `error` | values | `zeroize`, `error` | `clap` |
| `crypto` | one place | `age`, `vars`, `error` | |
| `commands` | stories | `crypto`, `cli::ui` | |
| `process` | children | | |
| `cli` | the face | `commands` | |
| `main` | nothing | `cli` | |
";

fn house() -> Plan {
    let names = |text: &str| text.split(' ').map(str::to_owned).collect();
    Plan {
        allowed: table(TABLE),
        rooms: names("vars error crypto commands process cli main"),
        exports: exports("mod vars; pub use crate::vars::{Vars, name::EnvName as Env};"),
        crates: names("age zeroize clap serde_json"),
    }
}

#[track_caller]
fn check(file: &str, source: &str, expected: &[&str]) {
    let found = house().breaches(file, source);
    let found: Vec<String> = found.iter().map(|(line, text)| format!("{line}: {text}")).collect();
    assert_eq!(found, expected, "{source}");
}

#[test]
fn a_forbidden_import_is_found() {
    check(
        "vars/mod.rs",
        "use crate::error::E;\nuse crate::crypto::Key;",
        &["2: `vars` may not import `crypto::Key`"],
    );
    check("vars/mod.rs", "use age::x25519;", &["1: `vars` may not import `age::x25519`"]);
    check(
        "crypto/mod.rs",
        "use ::clap::Parser as _;",
        &["1: `crypto` may not import `clap::Parser`"],
    );
}

#[test]
fn a_forbidden_import_is_found_inside_braces() {
    let source = "use crate::{\n    error::{self, A},\n    crypto::{B as C, *},\n};\nfn f() {}";
    check(
        "vars/name.rs",
        source,
        &["3: `vars` may not import `crypto::*`", "3: `vars` may not import `crypto::B`"],
    );
}

#[test]
fn a_forbidden_path_is_found_without_an_import() {
    let source = "fn f(k: &crate::crypto::Key) -> Vec<serde_json::Value> {\n    age::x()\n}";
    check(
        "vars/mod.rs",
        source,
        &[
            "1: `vars` may not import `crypto::Key`",
            "1: `vars` may not import `serde_json::Value`",
            "2: `vars` may not import `age::x`",
        ],
    );
    check(
        "vars/mod.rs",
        "pub(in crate::vars) fn f() { $crate::cli::x!() }",
        &["1: `vars` may not import `cli::x`"],
    );
    check(
        "vars/mod.rs",
        "#[derive(clap::Args)] struct A;",
        &["1: `vars` may not import `clap::Args`"],
    );
}

#[test]
fn super_may_go_up_but_not_out() {
    check("vars/name.rs", "use super::Vars; use self::x::Y;", &[]);
    check(
        "vars/name.rs",
        "use super::super::crypto::Key;",
        &["1: `vars` may not import `crypto::Key`"],
    );
    check("vars/mod.rs", "use super::crypto;", &["1: `vars` may not import `crypto`"]);
    check("error.rs", "fn f() { super::vars::g() }", &["1: `error` may not import `vars::g`"]);
    check(
        "vars/mod.rs",
        "mod inner { use super::Vars; }\nuse super::cli::x;",
        &["2: `vars` may not import `cli::x`"],
    );
}

#[test]
fn what_the_crate_re_exports_counts_as_its_room() {
    check("crypto/mod.rs", "use crate::{Vars, Env};", &[]);
    check("process/mod.rs", "use crate::Vars;", &["1: `process` may not import `vars::Vars`"]);
    check(
        "process/mod.rs",
        "use crate::Nobody;",
        &["1: `crate::Nobody` is neither a room nor re-exported"],
    );
}

#[test]
fn a_part_of_a_room_can_be_allowed() {
    check(
        "commands/get.rs",
        "use crate::cli::ui::Ui;\nuse crate::cli::{ui, report};",
        &["2: `commands` may not import `cli::report`"],
    );
}

#[test]
fn the_standard_library_is_free_but_for_its_fences() {
    check("vars/mod.rs", "use std::{fmt, process::ExitCode}; use core::mem;", &[]);
    check(
        "vars/mod.rs",
        "use std::process::{self, ExitCode};\nfn f() { process::Command::new() }",
        &["2: `vars` uses `std::process::Command`"],
    );
    check(
        "vars/mod.rs",
        "use std::process::*;\nfn f() { std::env::var() }",
        &["1: `vars` uses `std::process::Command`", "2: `vars` uses `std::env`"],
    );
    check("process/mod.rs", "use std::process::Command; use std::env;", &[]);
}

#[test]
fn a_module_or_import_of_the_same_name_is_not_the_crate() {
    check("process/mod.rs", "mod age; fn f() { age::g() }", &[]);
    check("process/mod.rs", "use self::x::clap; fn f() { clap::g() }", &[]);
    check("process/mod.rs", "fn f() { x::age::g(); <T as X>::clap::y() }", &[]);
}

#[test]
fn tests_comments_and_strings_are_exempt() {
    let source = "//! See [`crate::cli`].\nfn f() -> &str { \"crate::cli::x\" }\n\
                  #[cfg(test)]\n#[path = \"x\"]\nmod tests { use clap::X; }\n\
                  #[cfg(test)] use crate::cli::{a};\n#[cfg(all(test, unix))] fn g() { age::x() }";
    check("vars/mod.rs", source, &[]);
    check(
        "vars/mod.rs",
        "#[cfg(not(test))]\nuse clap::X;",
        &["2: `vars` may not import `clap::X`"],
    );
    check(
        "vars/mod.rs",
        "#[cfg(test)]\nuse clap::X;\nuse clap::Y;",
        &["3: `vars` may not import `clap::Y`"],
    );
}

#[test]
fn the_binary_sees_the_library_by_its_name() {
    check("main.rs", "fn main() { vault::cli::main() }", &[]);
    check("main.rs", "fn main() { vault::vars::x() }", &["1: `main` may not import `vars::x`"]);
}

#[test]
fn a_room_without_a_row_is_found() {
    check("cellar/mod.rs", "", &["1: the room `cellar` is not in the table"]);
}

#[test]
fn a_cfg_of_a_system_is_found() {
    let source = "#[cfg(unix)] fn a() {}\n#[cfg(any(test, feature = \"ssh\"))] fn b() {}\n\
                  #![cfg_attr(test, allow(dead_code))]\n#[cfg_attr(windows, path = \"x\")]\n\
                  fn c() -> bool { cfg!(target_os = \"linux\") }\n// #[cfg(unix)]";
    assert_eq!(platform_cfgs(source), [1, 4, 5]);
}

#[test]
fn markers_enclose_a_part_of_the_page() {
    assert_eq!(between("a <!-- x -->b<!-- /x --> c", "x"), Some("b"));
    assert_eq!(between("a <!-- x -->b", "x"), None);
}
