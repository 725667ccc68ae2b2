//! The tool in its main job: a real Django project, a real server, everything
//! through `vault run`.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]
#![allow(clippy::disallowed_methods, reason = "the programs beside Python are found by PATH")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::formations::{plain, said};
use crate::support::barrier::{PATIENCE, until};
use crate::support::needs::{needs, needs_python};
use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;

const REQUIRED: &str = "[required]\nSECRET_KEY = { kind = \"string\", min = 50 }\n\
                        DATABASE_URL = \"url\"\nALLOWED_HOSTS = \"string\"\n";

/// The project with a vault whose production has all that it needs.
struct Shop {
    sandbox: Sandbox,
    python: PathBuf,
}

impl Shop {
    /// None where there is no Django.
    #[track_caller]
    fn new() -> Option<Self> {
        let python = needs_python("django")?;
        let sandbox = Sandbox::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/django");
        copy_folder(&source, sandbox.project());
        sandbox.write("project/vault.toml", REQUIRED);
        sandbox.vault(["init"]).run().expect_like(0, "", "...\nhint: [..]\n");
        let shop = Self { sandbox, python };
        let database = shop.sandbox.project().join("shop.db");
        // An absolute path makes four slashes.
        let database = format!("DATABASE_URL=sqlite:///{}", database.display());
        shop.set(["--generate", "django", "SECRET_KEY"]);
        shop.set([database.as_str(), "ALLOWED_HOSTS=127.0.0.1,shop.example.org"]);
        Some(shop)
    }

    #[track_caller]
    fn set<const N: usize>(&self, args: [&str; N]) -> Output {
        self.sandbox.vault(["set", "-e", "production"]).args(args).run().expect(0, "", "")
    }

    /// `vault run -e production -- python ARGS`.
    fn python<const N: usize>(&self, args: [&str; N]) -> Run {
        let run = self.sandbox.vault(["run", "-e", "production", "--"]);
        run.arg(&self.python).args(args)
    }

    fn manage<const N: usize>(&self, args: [&str; N]) -> Run {
        self.python(["manage.py"]).args(args)
    }

    /// `vault start -e production`, with the programs beside that Python.
    fn start<const N: usize>(&self, args: [&str; N]) -> Run {
        let beside = self.python.parent().expect("a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(beside).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(path).expect("no colon in it");
        self.sandbox.vault(["start", "-e", "production"]).args(args).env("PATH", path)
    }

    #[track_caller]
    fn migrate(&self) {
        let output = self.manage(["migrate", "--noinput", "--verbosity", "0"]);
        output.run().expect(0, "", "");
    }

    /// A program in front of Python that leaves the file `started` behind.
    fn wrapper(&self) -> PathBuf {
        let script = format!("#!/bin/sh\n: > started\nexec '{}' \"$@\"\n", self.python.display());
        self.sandbox.write("project/bin/python", script);
        let path = self.sandbox.path("project/bin/python");
        make_executable(&path);
        path
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("an entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_folder(&source, &target);
        } else {
            std::fs::copy(&source, &target).expect("a copy");
        }
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// The head and the body of the answer.
#[track_caller]
fn http_get(port: u16, path: &str, more: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server that listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a server that reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// The first of two ports beside each other that nobody listens on.
#[track_caller]
fn two_free_ports() -> u16 {
    let mut found = None;
    until(
        || {
            let one = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
            let port = one.local_addr().expect("its number").port();
            let next =
                port.checked_add(1).filter(|&next| TcpListener::bind(("127.0.0.1", next)).is_ok());
            found = next.map(|_| port);
            found.is_some()
        },
        "two free ports",
    );
    found.expect("it was found")
}

/// Waits for a server.
#[track_caller]
fn wait_for_port(port: u16) {
    until(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), "a server that listens");
}

#[test]
fn migrations_run_and_the_deployment_check_finds_nothing() {
    let Some(shop) = Shop::new() else { return };
    shop.manage(["migrate", "--noinput"]).run().expect_like(
        0,
        "Operations to perform:\n...\n  Applying orders.0001_initial... OK\n...\n",
        "",
    );
    assert!(shop.sandbox.path("project/shop.db").is_file());
    shop.manage(["check", "--deploy", "--fail-level", "WARNING"]).run().expect(
        0,
        "System check identified no issues (0 silenced).\n",
        "",
    );
}

#[test]
fn gunicorn_serves_with_the_stored_settings_and_ends_well_on_sigterm() {
    let Some(shop) = Shop::new() else { return };
    if needs_python("gunicorn").is_none() {
        return;
    }
    shop.migrate();
    // Port 0 lets the system choose; the log tells which it was.
    let server = shop.python(["-m", "gunicorn", "shop.wsgi", "--bind", "127.0.0.1:0"]);
    let server = server.args(["--error-logfile", "gunicorn.log"]).spawn();
    let log = || shop.sandbox.path("project/gunicorn.log");
    let mut text = String::new();
    until(
        || {
            text = std::fs::read_to_string(log()).unwrap_or_default();
            text.lines().any(|line| line.contains("Booting worker"))
        },
        "gunicorn to boot a worker",
    );
    let port = text
        .split("http://127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .expect("the port in the log");
    // The process that was `vault` is gunicorn's master now.
    let pid = format!("[{}]", server.pid().as_raw_nonzero());
    let listening = text.lines().find(|line| line.contains("Listening at")).expect("a line");
    assert!(listening.contains(&pid), "{pid} is not in {listening}");

    let (head, body) = http_get(port, "/healthz", "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, r#"{"status": "ok"}"#);
    let (head, body) = http_get(port, "/", "X-Forwarded-Proto: https\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, r#"{"orders": 0, "secret_key_from_environment": true}"#);
    // Without the router in front it asks for TLS: the settings are production's.
    let (head, _) = http_get(port, "/", "");
    assert!(head.starts_with("HTTP/1.1 301 "), "{head}");

    server.kill(Signal::TERM);
    server.wait().expect(0, "", "");
    shop.sandbox.assert_no_process_left();
}

#[test]
fn the_worker_handles_an_order_and_its_loop_stops_on_sigterm() {
    let Some(shop) = Shop::new() else { return };
    shop.migrate();
    shop.manage(["worker"]).run().expect(0, "no order queued\n", "");
    let fixture = ["loaddata", "two_orders", "--verbosity", "0"];
    shop.manage(fixture).run().expect(0, "", "");
    let first = shop.manage(["worker"]).run().expect_like(0, "handled order [..]\n", "");
    let mut worker = shop.manage(["worker", "--loop"]).spawn();
    worker.wait_for("handled order ");
    worker.kill(Signal::TERM);
    let rest =
        worker.wait().expect_like(0, "worker ready\nhandled order [..]\nworker stopped\n", "");
    assert!(!rest.out().contains(first.out()), "an order was handled twice");
    shop.manage(["worker"]).run().expect(0, "no order queued\n", "");
}

#[test]
fn a_missing_required_setting_stops_it_before_python_starts() {
    let Some(shop) = Shop::new() else { return };
    let wrapper = shop.wrapper();
    let check = || {
        let run = shop.sandbox.vault(["run", "-e", "production", "--"]);
        run.arg(&wrapper).args(["manage.py", "check"]).run()
    };
    shop.sandbox.vault(["unset", "-y", "-e", "production", "SECRET_KEY"]).run().expect(0, "", "");
    check().expect(
        125,
        "",
        "vault: production: SECRET_KEY is missing\n\
         hint: `[required]` in vault.toml asks for it; set it with `vault set -e production SECRET_KEY`\n",
    );
    let started = shop.sandbox.path("project/started");
    assert!(!started.exists(), "Python was started");

    shop.sandbox.vault(["set", "-e", "production", "SECRET_KEY=too-short"]).run().expect(
        0,
        "",
        "vault: production: SECRET_KEY is shorter than 50 bytes\n",
    );
    check().expect_like(
        125,
        "",
        "vault: production: SECRET_KEY is shorter than 50 bytes\nhint: [..]\n",
    );
    assert!(!started.exists(), "Python was started");

    // The marker proves something only if it can come.
    shop.set(["--generate", "django", "SECRET_KEY"]);
    check().expect(0, "System check identified no issues (0 silenced).\n", "");
    assert!(started.exists(), "the wrapper leaves no marker");
}

#[test]
fn without_required_settings_djangos_own_error_and_status_come_through() {
    let Some(shop) = Shop::new() else { return };
    shop.sandbox.write("project/vault.toml", "");
    shop.sandbox.vault(["unset", "-y", "-e", "production", "SECRET_KEY"]).run().expect(0, "", "");
    shop.manage(["check"]).run().expect_like(
        1,
        "",
        "Traceback (most recent call last):\n...\nKeyError: 'SECRET_KEY'\n",
    );
}

#[test]
fn no_secret_stands_in_any_file_of_the_project() {
    let Some(shop) = Shop::new() else { return };
    shop.migrate();
    let key = shop.sandbox.vault(["get", "-e", "production", "SECRET_KEY"]).run().success();
    assert_eq!(key.out().chars().count(), 50, "Django's own length");
    shop.sandbox.assert_nowhere(key.out());
}

#[test]
fn the_procfile_starts_with_its_release_and_serves_on_each_port_and_one_key_press_ends_it() {
    let Some(shop) = Shop::new() else { return };
    if needs_python("gunicorn").is_none() || !needs("setsid") {
        return;
    }
    let web = two_free_ports();
    // The release stands first in the Procfile, and has the first hundred.
    let base = (web - 100).to_string();
    let run = shop.start(["-c", "web=2", "-p", &base, "--timeout", "1440m"]);
    let mut terminal = run.on_terminal();
    terminal.expect("Applying orders.0001_initial... OK");
    terminal.expect("release.1 stopped (rc=0)");
    terminal.expect("web.1 started");
    terminal.expect("worker ready");
    for port in [web, web + 1] {
        wait_for_port(port);
        let (head, body) = http_get(port, "/healthz", "");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, r#"{"status": "ok"}"#);
        let (_, body) = http_get(port, "/", "X-Forwarded-Proto: https\r\n");
        assert_eq!(body, r#"{"orders": 0, "secret_key_from_environment": true}"#);
    }
    terminal.control('c');
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(130), "{screen}");
    let text = plain(&screen);
    let own = said(&text, "system");
    for line in ["SIGINT received", "sending SIGTERM to web.2 (pid N)"] {
        assert!(own.iter().filter(|said| said.contains(line)).count() == 1, "{line}: {screen}");
    }
    // Each ended by itself when it was asked, once, and was heard to its last line.
    assert!(!screen.contains("SIGKILL"), "{screen}");
    assert!(said(&text, "worker.1").contains(&"worker stopped".to_owned()), "{screen}");
    for name in ["web.1", "web.2"] {
        let last = said(&text, name).pop().unwrap_or_default();
        assert!(last.contains("Shutting down: Master"), "{screen}");
    }
    shop.sandbox.assert_no_process_left();
}

#[test]
fn a_release_that_fails_starts_no_server() {
    let Some(shop) = Shop::new() else { return };
    // A database that can't be there.
    shop.set(["DATABASE_URL=sqlite:////no/such/folder/shop.db"]);
    let output = shop.start(["--no-prefix"]).run();
    let output = output.expect_that(1, "nothing of our own", |output| output.stderr.is_empty());
    assert!(output.out().contains("unable to open database file"), "{}", output.out());
    assert!(!output.out().contains("web.1 started"), "{}", output.out());
}

#[test]
fn a_development_server_that_reloads_leaves_no_process_behind() {
    let Some(shop) = Shop::new() else { return };
    shop.migrate();
    let port = two_free_ports();
    shop.sandbox.write("project/Procfile.dev", "web: python manage.py runserver 127.0.0.1:$PORT\n");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let run = shop.start(["-f", "Procfile.dev", "-p", &port.to_string(), "--timeout", "1440m"]);
        let running = run.spawn();
        wait_for_port(port);
        let (head, _) = http_get(port, "/healthz", "");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        running.kill(signal);
        let output = running.wait();
        let status = 128 + signal.as_raw();
        output.expect_that(status, "nothing on stderr", |output| output.stderr.is_empty());
        shop.sandbox.assert_no_process_left();
    }
}
