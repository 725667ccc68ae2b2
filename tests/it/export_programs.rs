//! More readers of what is exported: those of dotenv files, and the programs that platforms are worked with.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::export_readers::{by_python, same, vault, write};
use crate::support::needs::{is_there, needs, needs_node};
use crate::support::run::Output;
use crate::support::sandbox::Sandbox;
use crate::vaults::init;

type Values = BTreeMap<String, String>;

#[track_caller]
fn found(output: &Output) -> Values {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether the writer puts it between double quotes.
fn is_doubled(value: &str) -> bool {
    value.contains(['\'', '\n', '\r'])
}

/// A dotenv file of the values that a reader is known to read right. The others are in `writer_matrix.json`: there is
/// no form of dotenv that all readers read, and after a quote that one of them misses it loses the rest of the file.
fn dotenv(wanted: impl Fn(&str) -> bool) -> (Sandbox, Values) {
    let (alice, values) = vault(wanted);
    assert!(values.len() > 230, "{}", values.len());
    write(&alice, "dotenv");
    (alice, values)
}

#[test]
fn python_dotenv_reads_what_holds_no_expansion_and_no_lone_backslash() {
    // It expands `${X}` even between single quotes, and knows escapes of its own in both kinds.
    let (alice, values) = dotenv(|value| {
        let escapes = is_doubled(value) && value.contains(['$', '`', '\\']);
        !(value.contains("${") || escapes || value.ends_with('\\') || value.contains("\\\\"))
    });
    let script = "from dotenv import dotenv_values\nfound = dotenv_values('out')";
    if let Some(got) = by_python(&alice, "dotenv", script) {
        same("python-dotenv", &got, &values);
    }
}

#[test]
fn npm_dotenv_reads_what_needs_no_escape_but_line_ends() {
    let Some(modules) = needs_node("dotenv") else { return };
    // Between double quotes it knows `\n` and `\r` alone, and takes no backslash before the closing quote.
    let (alice, values) = dotenv(|value| {
        let escapes = is_doubled(value) && value.contains(['"', '$', '`', '\\']);
        !(escapes || value.ends_with('\\'))
    });
    let script =
        "console.log(JSON.stringify(require('dotenv').parse(require('fs').readFileSync('out'))))";
    let node = alice.program("node", ["-e", script]).env("NODE_PATH", modules);
    same("npm dotenv", &found(&node.run().success()), &values);
}

#[test]
fn ruby_dotenv_reads_what_needs_no_other_escape_beside_line_ends() {
    if !needs("ruby") {
        return;
    }
    let (alice, values) = dotenv(|value| !(is_doubled(value) && value.contains(['\\', '$', '`'])));
    let script = "require 'dotenv'; require 'json'; puts JSON.generate({}.merge(Dotenv::Environment.new('out', false)))";
    same("ruby dotenv", &found(&alice.program("ruby", ["-e", script]).run().success()), &values);
}

/// `NAME=$(vault get NAME --format kamal)` in `.kamal/secrets`, which Kamal has Ruby's dotenv read; then what Kamal
/// writes for docker, by the rules of its `EnvFile`.
#[test]
fn kamal_gets_the_exact_value_or_a_refusal() {
    if !needs("ruby") {
        return;
    }
    let (alice, values) = vault(|_| true);
    let lines: Vec<String> = values
        .keys()
        .map(|name| format!("{name}=$(\"$VAULT\" get -e staging {name} --format kamal)\n"))
        .collect();
    alice.write("project/secrets", lines.concat());
    let script = "require 'dotenv'; require 'json'\n\
        dump = ->(text) { text.scan(/[\\x00-\\x7F]+|[^\\x00-\\x7F]+/).map { |part| part.ascii_only? ? \
        part.dump[1..-2].gsub(/\\\\\"/, '\"').gsub(/\\\\#/, '#') : part }.join }\n\
        puts JSON.generate({}.merge(Dotenv::Environment.new('secrets', false)).transform_values(&dump))";
    let ruby = alice.program("ruby", ["-e", script]).env("VAULT", env!("CARGO_BIN_EXE_vault"));
    let mut got = found(&ruby.run());
    let held = |value: &str| !value.contains(|c: char| c.is_ascii_control() || c == '\\');
    let mut wanted = values.clone();
    wanted.retain(|_, value| held(value));
    assert!(wanted.len() > 150 && wanted.len() < values.len());
    got.retain(|name, _| wanted.contains_key(name));
    same("Kamal", &got, &wanted);
    let (name, _) = values.iter().find(|(_, value)| !held(value)).unwrap();
    alice.vault(["get", "-e", "staging", name, "--format", "kamal"]).run().expect(
        1,
        "",
        &format!(
            "vault: {name}: the value holds a backslash or a control character, which the kamal format cannot hold\n"
        ),
    );
}

#[test]
fn a_shell_takes_one_value_as_a_word() {
    let (alice, values) = vault(|_| true);
    let lines: Vec<String> = values
        .keys()
        .take(60)
        .map(|name| format!("eval \"{name}=$(\"$VAULT\" get -e staging {name} --format shell)\"; export {name}\n"))
        .collect();
    let output = alice
        .sh(lines.concat() + "exec env -0")
        .env("VAULT", env!("CARGO_BIN_EXE_vault"))
        .run()
        .success();
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs: Values = text
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in values.iter().take(60) {
        assert_eq!(pairs.get(name), Some(value), "{name}");
    }
}

#[test]
fn kubectl_reads_the_secret() {
    if !needs("kubectl") {
        return;
    }
    let (alice, values) = vault(|_| true);
    write(&alice, "k8s");
    // What needs no cluster: it reads the file, and prints what it has read.
    let words = ["annotate", "--local", "-f", "out", "read=yes", "-o", "json"];
    let output = alice.program("kubectl", words).run();
    let whole: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let script = "import base64\nfound = {name: base64.b64decode(text, validate=True).decode() \
                  for name, text in json.load(open('read.json'))['data'].items()}";
    alice.write("project/read.json", whole.to_string());
    if let Some(got) = by_python(&alice, "json", script) {
        same("kubectl", &got, &values);
    }
}

/// The client of docker, with a daemon of our own that keeps what it is asked.
#[test]
fn docker_reads_its_file_of_variables() {
    let (alice, values) = vault(|value| !value.contains('\n') && !value.ends_with('\r'));
    write(&alice, "docker");
    if !needs("docker") {
        return;
    }
    let daemon = "import http.server, json, socketserver, subprocess, sys\n\
        class Daemon(http.server.BaseHTTPRequestHandler):\n    \
            protocol_version = 'HTTP/1.1'\n    \
            def answer(self, status, body):\n        \
                self.send_response(status)\n        \
                self.send_header('Api-Version', '1.41')\n        \
                self.send_header('Content-Type', 'application/json')\n        \
                self.send_header('Content-Length', str(len(body)))\n        \
                self.end_headers()\n        \
                self.wfile.write(body)\n    \
            def do_HEAD(self): self.answer(200, b'')\n    \
            def do_GET(self): self.answer(200, b'OK')\n    \
            def do_POST(self):\n        \
                asked = json.loads(self.rfile.read(int(self.headers['Content-Length'])))\n        \
                if self.path.split('?')[0].endswith('/containers/create'): self.server.asked = asked\n        \
                self.answer(201, b'{\"Id\": \"x\", \"Warnings\": []}')\n    \
            def address_string(self): return ''\n    \
            def log_message(self, *words): pass\n\
        import threading\n\
        server = socketserver.ThreadingUnixStreamServer('daemon', Daemon)\n\
        threading.Thread(target=server.serve_forever, daemon=True).start()\n\
        words = ['docker', '-H', 'unix://' + sys.argv[1], 'create', '--env-file', 'out', 'image']\n\
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)\n\
        found = dict(pair.split('=', 1) for pair in server.asked['Env'])";
    let script = daemon.replace(
        "sys.argv[1]",
        &format!("{:?}", alice.path("project/daemon").display().to_string()),
    );
    if let Some(mut got) = by_python(&alice, "socketserver", &script) {
        got.retain(|name, _| name.starts_with('V'));
        same("docker", &got, &values);
    }
}

/// Where there is a Terraform: no package of Debian has it.
#[test]
fn terraform_reads_its_variables() {
    if !is_there("terraform") {
        return;
    }
    // What would need another form of Unicode is refused, so the values are asked one by one for that.
    let (alice, values) = vault(|value| !value.contains('\0'));
    let declared: Vec<String> =
        values.keys().map(|name| format!("variable {name:?} {{\n  type = string\n}}\n")).collect();
    alice.write("project/main.tf", declared.concat());
    let all: Vec<String> = values.keys().map(|name| format!("{name} = var.{name}")).collect();
    let asked = format!("base64encode(jsonencode({{{}}}))\n", all.join(", "));
    for (format, file) in [("tfvars", "out.tfvars"), ("tfvars-json", "out.tfvars.json")] {
        alice.vault(["export", "-e", "staging", format, "-o", file]).run().expect(0, "", "");
        let words = ["console".to_owned(), format!("-var-file={file}")];
        let run = alice.program("terraform", &words).stdin(&asked).env("CHECKPOINT_DISABLE", "1");
        let output = run.run();
        let text = BASE64.decode(output.out().trim().trim_matches('"')).unwrap();
        same("Terraform", &serde_json::from_slice(&text).unwrap(), &values);
    }
}

#[test]
fn environments_are_exported_one_over_the_other() {
    let alice = Sandbox::new();
    init(&alice, "alice", "base,staging");
    for (environment, pairs) in
        [("base", ["A=base", "B=base"]), ("staging", ["B=staging", "C=staging"])]
    {
        alice.vault(["set", "-e", environment]).args(pairs).run().expect(0, "", "");
    }
    alice.vault(["set", "-e", "base", "C", "--as-file"]).stdin("file").run().expect(0, "", "");
    let export = |list: &str| alice.vault(["export", "-e", list, "dotenv"]);
    // The file of the earlier one is no file any more.
    export("base,staging").run().expect(0, "A=base\nB=staging\nC=staging\n", "");
    export("base,staging").args(["--except", "A,C"]).run().expect(0, "B=staging\n", "");
    export("staging,base").args(["--only", "A,B"]).run().expect(0, "A=base\nB=base\n", "");
    export("staging,base").run().expect(
        1,
        "",
        "vault: staging, base: C is a file secret: a program gets the path of a file, and no text has that\n\
         hint: `--with-files` prints what is in the files, `--except` leaves them out\n",
    );
    export("base,staging").args(["--only", "CC"]).run().expect(
        3,
        "",
        "vault: base, staging has no CC\nhint: did you mean `C`?\n",
    );
    let run = alice.vault(["run", "-e", "base,staging", "--except", "A", "--", "sh", "-c"]);
    let run = run.arg("echo ${A-none} $B $C").env_remove("A");
    run.run().expect(0, "none staging staging\n", "");
    let wrong = alice.vault(["run", "-e", "base", "--except", "NOPE", "--", "true"]).run();
    wrong.expect(125, "", "vault: base has no NOPE\nhint: `vault list` shows the names\n");
}
