//! File secrets: stored, handed to every kind of reader, and gone at the end.
#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::formations::{FOREVER, start};
use crate::support::barrier::until;
use crate::support::needs::{
    needs, needs_namespaces, needs_other_user, needs_ptrace, needs_python,
};
use crate::support::run::Running;
use crate::support::sandbox::Sandbox;
use crate::vaults::init;

const RUN: [&str; 4] = ["run", "-e", "staging", "--"];
const IN_FOLDER: [&str; 5] = ["run", "-e", "staging", "--file-dir", "--"];
/// A line that stands in no other file.
const LINE: &str = "a-line-of-the-file-0c7d";
/// Says where the file is, and waits to be told to go on.
const TELL_AND_WAIT: &str = "echo at $TLS_KEY.; read line; cat $TLS_KEY";

/// A vault with a file in it, and a variable.
fn vault() -> Sandbox {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    alice.write("project/key.pem", format!("{LINE}\nsecond\n"));
    set(&alice, &["TLS_KEY", "--as-file", "--file", "key.pem"]);
    set(&alice, &["PLAIN=plain-7f3a"]);
    alice
}

fn set(person: &Sandbox, words: &[&str]) {
    person.vault(["set", "-e", "staging"]).args(words).run().expect(0, "", "");
}

/// Makes a key and a certificate for it, and stores both.
fn certify(person: &Sandbox) {
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=x -days 2 2>/dev/null";
    person.sh(make).run().success();
    set(person, &["TLS_KEY", "--file", "key.pem"]);
    set(person, &["TLS_CERT", "--as-file", "--file", "cert.pem"]);
}

/// The path that a program of [`TELL_AND_WAIT`] has told.
fn told(running: &mut Running) -> PathBuf {
    running.wait_for(".\n");
    let lines = running.lines();
    let line = lines.iter().find_map(|line| line.strip_prefix("at ")).expect("a path");
    PathBuf::from(line.trim_end_matches('.'))
}

/// The process that holds the file of this path.
fn holder(path: &Path) -> Pid {
    let number = path.iter().nth(2).and_then(|number| number.to_str()?.parse().ok());
    number.and_then(Pid::from_raw).expect("a path below /proc")
}

fn is_gone(pid: Pid) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn every_program_that_reads_it_finds_the_file() {
    let readers = ["python3", "node", "openssl", "ssh-keygen"];
    let Some(python) = needs_python("ssl") else { return };
    if !readers.into_iter().all(needs) {
        return;
    }
    let alice = vault();
    certify(&alice);
    alice.sh("ssh-keygen -q -t ed25519 -N '' -f ssh").run().success();
    set(&alice, &["SSH_KEY", "--as-file", "--file", "ssh"]);
    let python = python.display();
    let scripts = [
        "cat <$TLS_KEY | cmp - key.pem && cat $TLS_KEY $TLS_KEY | wc -c | xargs -I{} test {} = $(($(wc -c <key.pem) * 2))".to_owned(),
        // Whoever asks for its size, and a second reader who begins anew.
        format!("{python} -c 'import os,mmap\np=os.environ[\"TLS_KEY\"]\nf=open(p,\"rb\")\nassert len(f.read())==os.stat(p).st_size\nassert mmap.mmap(f.fileno(),0,access=mmap.ACCESS_READ)[:10]==b\"-----BEGIN\"'"),
        format!("{python} -c 'import os,ssl\nssl.create_default_context().load_cert_chain(os.environ[\"TLS_CERT\"],os.environ[\"TLS_KEY\"])'"),
        // Two programs down, behind one that closes all descriptors.
        format!("{python} -c 'import os,subprocess\nsubprocess.run([\"sh\",\"-c\",\"sh -c \\\"cmp \\$TLS_KEY key.pem\\\"\"],close_fds=True,check=True)'"),
        "node -e 'const fs=require(\"fs\"),t=require(\"tls\"),e=process.env;t.createSecureContext({key:fs.readFileSync(e.TLS_KEY),cert:fs.readFileSync(e.TLS_CERT)});require(\"child_process\").execFileSync(\"cmp\",[e.TLS_KEY,\"key.pem\"])'".to_owned(),
        "openssl pkey -in $TLS_KEY -noout && test \"$(openssl pkey -in $TLS_KEY -pubout)\" = \"$(openssl x509 -in $TLS_CERT -noout -pubkey)\"".to_owned(),
        // It refuses a key that others could read.
        "test \"$(ssh-keygen -y -f $SSH_KEY | cut -d' ' -f2)\" = \"$(cut -d' ' -f2 ssh.pub)\"".to_owned(),
    ];
    for script in scripts {
        for way in [&RUN[..], &IN_FOLDER] {
            alice.vault(way).args(["sh", "-e", "-c", &script]).run().expect(0, "", "");
        }
    }
}

#[test]
fn nginx_starts_with_it_and_reads_it_again() {
    if !["nginx", "openssl"].into_iter().all(needs) {
        return;
    }
    let alice = vault();
    certify(&alice);
    let script = "
        user=$(test $(id -u) = 0 && echo 'user root;')
        cat >nginx.conf <<END
        daemon off; pid $PWD/pid; error_log stderr notice; $user
        events {}
        http {
            access_log off; client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;
            uwsgi_temp_path tmp; scgi_temp_path tmp;
            server { listen unix:$PWD/socket ssl; ssl_certificate $TLS_CERT; ssl_certificate_key $TLS_KEY; }
        }
END
        echo at $TLS_KEY. >told; exec nginx -p $PWD -c nginx.conf 2>log";
    let running = alice.vault(RUN).args(["sh", "-c", script]).spawn();
    let log = || std::fs::read_to_string(alice.path("project/log")).unwrap_or_default();
    let workers = || log().matches("start worker process ").count();
    until(|| workers() > 0, "a worker of nginx");
    let served =
        "openssl s_client -unix socket </dev/null 2>/dev/null | openssl x509 -noout -pubkey";
    let ours = alice.sh("openssl x509 -in cert.pem -noout -pubkey").run().success();
    alice.sh(served).run().expect(0, ours.out(), "");
    let before = workers();
    running.kill(Signal::HUP);
    until(|| workers() > before || log().contains("[emerg]"), "another worker of nginx");
    assert!(!log().contains("[emerg]"), "{}", log());
    alice.sh(served).run().expect(0, ours.out(), "");
    // It does read it again: without the file it says so.
    let path = alice.read("project/told");
    let path = PathBuf::from(path.trim_start_matches("at ").trim_end_matches(".\n"));
    kill_process(holder(&path), Signal::KILL).unwrap();
    until(|| is_gone(holder(&path)), "the end of the holder");
    running.kill(Signal::HUP);
    until(|| log().contains("[emerg]"), "a complaint of nginx");
    running.kill(Signal::TERM);
    running.wait().expect(0, "", "");
}

#[test]
fn the_command_gets_a_sealed_file_of_its_user_alone() {
    let alice = vault();
    let script = "stat -L -c '%a %s' $TLS_KEY; (echo x >$TLS_KEY) 2>/dev/null || echo sealed; \
                  env | grep -c a-line; ls /proc/self/fd | wc -l; read child </proc/$$/task/$$/children; echo no child: $child";
    let output = alice.vault(RUN).args(["sh", "-c", script]).run();
    let without = alice.sh("ls /proc/self/fd | wc -l").run().success();
    output.expect(0, &format!("600 31\nsealed\n0\n{}no child:\n", without.out()), "");
}

#[test]
fn nothing_of_it_is_left_however_the_command_ends() {
    let alice = vault();
    for way in [&RUN[..], &IN_FOLDER] {
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            let mut running =
                alice.vault(way).args(["sh", "-c", TELL_AND_WAIT]).stdin_open().spawn();
            let path = told(&mut running);
            assert!(std::fs::read_to_string(&path).unwrap().starts_with(LINE));
            match signal {
                Some(signal) => running.kill(signal),
                None => running.write("\n"),
            }
            let output = running.wait();
            assert_eq!(output.out().contains(LINE), signal.is_none());
            let place =
                if way.len() == RUN.len() { path.ancestors().nth(2) } else { path.parent() };
            until(|| !place.unwrap().exists(), "the end of what held the file");
        }
    }
    alice.sh("rm key.pem").run().success();
    alice.assert_nowhere(LINE);
}

#[test]
fn a_folder_that_was_left_is_swept_and_one_in_use_is_not() {
    if !needs_namespaces() {
        return;
    }
    let alice = vault();
    let running = |before: &[&str]| {
        let vault = [&[env!("CARGO_BIN_EXE_vault")], &IN_FOLDER[..], &["sh", "-c", TELL_AND_WAIT]];
        let words: Vec<&str> = before.iter().chain(vault.concat().iter()).copied().collect();
        alice.program(words[0], &words[1..]).stdin_open().spawn()
    };
    let mut left = running(&["env"]);
    let left_at = told(&mut left);
    // One in a world with other numbers of processes, as in a container.
    let unshare = ["unshare", "--user", "--map-current-user", "--pid", "--fork", "--mount-proc"];
    let mut inside = running(&unshare);
    let inside_at = told(&mut inside);
    // Nobody is left who would remove it.
    let place = |found: std::fs::Metadata| (found.dev(), found.ino());
    let locks = place(std::fs::metadata(left_at.parent().unwrap()).unwrap());
    let is_open = |pid: &Path| {
        let open = std::fs::read_dir(pid.join("fd")).into_iter().flatten().flatten();
        open.map(|one| one.path().metadata())
            .any(|found| found.is_ok_and(|one| place(one) == locks))
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let holders: Vec<PathBuf> = all.filter(|pid| is_open(pid)).collect();
    assert_eq!(holders.len(), 1, "{holders:?}");
    let number = holders[0].file_name().unwrap().to_str().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();
    left.write("\n");
    left.wait().expect_that(0, "it was read", |output| output.out().contains(LINE));
    assert!(left_at.exists());
    alice.vault(IN_FOLDER).args(["true"]).run().expect(0, "", "");
    assert!(!left_at.exists() && inside_at.exists());
    inside.write("\n");
    inside.wait().expect_that(0, "it was read", |output| output.out().contains(LINE));
    until(|| !inside_at.parent().unwrap().exists(), "the end of the folder");
}

#[test]
fn others_get_nothing_from_the_process_that_holds_it() {
    let (Some(other), true, true) = (needs_other_user(), needs("setpriv"), needs_ptrace()) else {
        return;
    };
    let Some(python) = needs_python("mmap") else { return };
    let alice = vault();
    let key = alice.read("home/.config/vault/identity");
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let command = ["sh", "-c", TELL_AND_WAIT];
    let mut running = alice.vault(RUN).args(command).env("VAULT_KEY", key).stdin_open().spawn();
    let path = told(&mut running);
    let user = other.to_string();
    let words = ["--reuid", &user, "--regid", &user, "--clear-groups", "cat"];
    let read = alice.program("setpriv", words).arg(&path).run();
    read.expect_that(1, "it is refused", |output| {
        output.out().is_empty() && output.err().contains("Permission denied")
    });
    let process = format!("/proc/{}", holder(&path));
    assert_eq!(std::fs::read(format!("{process}/environ")).unwrap(), b"");
    let scan = "import sys\nfound=0\nfor line in open(sys.argv[1]+'/maps'):\n a,b=[int(x,16) for x in line.split()[0].split('-')]\n \
                if line.split()[1][0]!='r' or '[v' in line: continue\n m=open(sys.argv[1]+'/mem','rb'); m.seek(a); t=m.read(b-a)\n \
                found+=sum(t.count(w.encode()) for w in sys.argv[3:]); found+=t.count(b'vault-files')*1000\nprint(found//1000>0, found%1000)";
    // The name of the program is found, so the search works; the key and the file are not.
    let scan = alice.program(&python, ["-c", scan]).args([&process, "", &key[20..60], LINE]).run();
    scan.expect(0, "True 0\n", "");
    running.write("\n");
    running.wait().expect_that(0, "it was read", |output| output.out().contains(LINE));
}

#[test]
fn a_command_that_gives_up_its_rights_still_reads_it() {
    if needs_other_user().is_none() || !needs("setpriv") {
        return;
    }
    let alice = vault();
    let words = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"];
    let run = alice.vault(RUN).args(words).args(["sh", "-c", "cat $TLS_KEY"]).run();
    run.expect(0, &format!("{LINE}\nsecond\n"), "");
}

#[test]
fn start_gives_it_to_its_processes_and_again_after_a_restart() {
    let alice = vault();
    alice.write("project/vault.toml", "[runner.env]\nother = [\"PLAIN\"]\n");
    let web = format!("echo at $TLS_KEY.; cmp $TLS_KEY key.pem && echo same; {FOREVER}");
    let other = format!("echo other ${{TLS_KEY:-without}} $PLAIN; {FOREVER}");
    alice.write("project/Procfile", format!("web: {web}\nother: {other}\n"));
    let words = ["-e", "staging", "--no-prefix", "--no-redact"];
    let ways = [&[][..], &["--file-dir"], &["--sandbox"], &["--sandbox", "--file-dir"]];
    for way in ways {
        if way.contains(&"--sandbox") && !needs_namespaces() {
            return;
        }
        let mut running = start(&alice, words).args(way).spawn();
        running.wait_for("same\n");
        running.wait_for("other without plain-7f3a\n");
        alice.vault(["restart", "web"]).run().expect(0, "", "");
        until(|| running.lines().iter().filter(|line| *line == "same").count() == 2, "the restart");
        let path = told(&mut running);
        running.kill(Signal::KILL);
        running.wait();
        // A sandbox ends the holder with all others, so that a folder is left; and of a file in no folder its
        // path says nothing out here.
        match way {
            ["--sandbox"] => {}
            ["--sandbox", ..] => until(
                || alice.vault(IN_FOLDER).arg("true").run().code() == Some(0) && !path.exists(),
                "the folder to be swept",
            ),
            _ => until(|| !path.parent().unwrap().exists(), "the end of what held the file"),
        }
    }
}

#[test]
fn its_contents_are_judged_and_hidden_and_what_overrides_it_is_a_variable() {
    let alice = vault();
    alice.write("project/vault.toml", "[required]\nTLS_KEY = \"pem\"\n");
    let refused = "vault: staging: TLS_KEY is not PEM text\nhint: [..]\n";
    alice.vault(RUN).arg("true").run().expect_like(125, "", refused);
    alice
        .vault(["check", "-e", "staging"])
        .run()
        .expect_that(1, "it is told", |output| output.out().contains("TLS_KEY is not PEM text"));
    alice.write("project/vault.toml", "");
    let hidden = alice.vault(["run", "-e", "staging", "--redact", "--"]);
    let hidden = hidden.args(["sh", "-c", "cat $TLS_KEY; grep -h second $TLS_KEY"]).run();
    hidden.expect(0, "[redacted TLS_KEY]\nsecond\n", "");
    alice.write("project/.env", "TLS_KEY=./dev.pem\n");
    let over = alice.vault(["run", "-e", "staging,.env", "--", "printenv", "TLS_KEY"]).run();
    over.expect(0, "./dev.pem\n", "");
    let under = alice.vault(["run", "-e", ".env,staging", "--", "sh", "-c", "head -1 $TLS_KEY"]);
    under.run().expect(0, &format!("{LINE}\n"), "");
    let only = alice.vault(["run", "-e", "staging", "--only", "PLAIN", "--", "env"]).run();
    only.expect_that(0, "nothing else", |output| !output.out().contains("TLS_KEY"));
}

#[test]
fn a_value_becomes_a_file_and_stays_one() {
    let alice = vault();
    let kinds = |name: &str| {
        let list = alice.vault(["list", "--json"]).run().success();
        let list: serde_json::Value = serde_json::from_str(list.out()).unwrap();
        let one = &list["secrets"][name]["staging"];
        (one["kind"].as_str().unwrap().to_owned(), one["changed"].as_u64().unwrap())
    };
    // The same value: who knew it still knows it.
    let (kind, changed) = kinds("PLAIN");
    assert_eq!(kind, "variable");
    set(&alice, &["PLAIN=plain-7f3a", "--as-file"]);
    assert_eq!(kinds("PLAIN"), ("file".to_owned(), changed));
    let before = alice.snapshot();
    set(&alice, &["PLAIN=plain-7f3a"]);
    alice.assert_unchanged_since(&before);
    for words in [&["TLS_KEY", "--file", "new"][..], &["PLAIN=another"]] {
        alice.write("project/new", b"\0\xff");
        set(&alice, words);
        assert_eq!(kinds(words[0].split('=').next().unwrap()).0, "file");
    }
    let got = alice.vault(["get", "-e", "staging", "TLS_KEY"]).run().success();
    assert_eq!(got.stdout, b"\0\xff");
    alice.write("project/import.env", "PLAIN=imported\n");
    let import = alice.vault(["import", "-e", "staging", "-y", "import.env"]).run();
    import.expect_that(0, "it is changed", |output| output.err().contains("staging: 1 changed"));
    assert_eq!(kinds("PLAIN").0, "file");
    let run = alice.vault(RUN).args(["sh", "-c", "cat $PLAIN; od -An -tx1 $TLS_KEY"]).run();
    run.expect(0, "imported 00 ff\n", "");
    alice.write("project/large", vec![b'x'; 1 << 20]);
    set(&alice, &["TLS_KEY", "--file", "large"]);
    alice.vault(RUN).args(["sh", "-c", "cmp $TLS_KEY large"]).run().expect(0, "", "");
    alice.write("project/large", vec![b'x'; (1 << 20) + 1]);
    alice.vault(["set", "-e", "staging", "TLS_KEY", "--file", "large"]).run().expect(
        1,
        "",
        "vault: `large` is over 1 MiB, too long for a value\n",
    );
}

#[test]
fn an_export_takes_it_only_if_it_is_asked_for() {
    let alice = vault();
    for format in ["json", "dotenv"] {
        alice.vault(["export", "-e", "staging", format]).run().expect(
            1,
            "",
            "vault: staging: TLS_KEY is a file secret: a program gets the path of a file, and no text has that\n\
             hint: `--with-files` prints what is in the files, `--except` leaves them out\n",
        );
        let without = alice.vault(["export", "-e", "staging", format, "--except", "TLS_KEY"]).run();
        without.expect_that(0, "the rest", |output| output.out().contains("plain-7f3a"));
        let with = alice.vault(["export", "-e", "staging", format, "--with-files"]).run();
        with.expect_that(0, "the file too", |output| output.out().contains(LINE));
    }
    let units = alice.vault(["export", "-e", "staging", "systemd", "out", "--with-files"]).run();
    units.expect_that(2, "refused", |output| output.err().contains("takes no `--with-files`"));
}

#[test]
fn without_a_folder_in_memory_nothing_is_written() {
    if !needs_namespaces() {
        return;
    }
    let alice = vault();
    let words = ["--user", "--map-root-user", "--mount", "sh", "-c"];
    let script = format!(
        "mount --bind /usr /dev/shm && exec {} run -e staging --file-dir -- touch began",
        env!("CARGO_BIN_EXE_vault")
    );
    let run = alice.program("unshare", words).arg(script).env("XDG_RUNTIME_DIR", alice.path("run"));
    run.run().expect_like(
        125,
        "",
        "vault: the system refuses to keep files in memory, for TLS_KEY, at the step mkdir on a tmpfs: [..]\n\
         hint: `--file-dir` needs XDG_RUNTIME_DIR or /dev/shm on a tmpfs; leave it out where programs do without\n",
    );
    assert!(!alice.path("project/began").exists());
}
