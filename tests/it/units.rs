//! `vault export FORMAT LOCATION`: which files are written for a Procfile, what
//! stands in them, and what is refused before anything is written.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

const FORMATS: [&str; 5] = ["systemd", "supervisord", "runit", "compose", "k8s-deployment"];

const PROCFILE: &str = "web: serve --port $PORT\nworker: vault run -e staging -- work\n";

const SECRET: &str = "s3cret-in-the-vault";

/// A project with a vault whose environment `staging` has a secret.
#[track_caller]
fn with_vault() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.vault(["init", "-e", "staging"]).run().expect_like(0, "", "...\n");
    let pair = format!("TOKEN={SECRET}");
    sandbox.vault(["set", "-e", "staging", &pair]).run().expect(0, "", "");
    sandbox.write("project/Procfile", PROCFILE);
    sandbox
}

/// A project that has a Procfile and a dotenv file and no vault.
fn with_dotenv() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("project/Procfile", PROCFILE);
    sandbox.write("project/.env", format!("TOKEN={SECRET}\n"));
    sandbox
}

fn export(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.vault(["export", "-a", "shop"]).args(args)
}

/// The files below `place`, by their paths there.
fn files(sandbox: &Sandbox, place: &str) -> Vec<String> {
    let place = sandbox.path(place);
    let mut found = Vec::new();
    let mut folders = vec![place.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&place).expect("a file below");
                found.push(name.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// The text of a file, with names in the place of paths that differ each time.
#[track_caller]
fn text(sandbox: &Sandbox, path: &str) -> String {
    let text = sandbox.read(path).replace(env!("CARGO_BIN_EXE_vault"), "$VAULT");
    text.replace(&*sandbox.root().to_string_lossy(), "$SANDBOX")
}

const CALL: &str = "--preserve-env=PORT,HONCHO_PROCESS_NAME,VAULT_PROCESS_NAME";

#[test]
fn systemd_gets_a_target_for_the_app_and_each_type_and_a_service_for_each_process() {
    let sandbox = with_vault();
    export(&sandbox, &["systemd", "out", "-e", "staging", "-c", "web=2"]).run().expect(
        0,
        "",
        "vault: the units take their key from /etc/credstore.encrypted/shop.vault-key: put it there with \
         `vault grant MEMBER --new-key -e ENV | systemd-creds encrypt --name=vault-key - /etc/credstore.encrypted/shop.vault-key`\n\
         vault: 6 files written to `out`\n",
    );
    assert_eq!(
        files(&sandbox, "project/out"),
        [
            "shop-web-1.service",
            "shop-web-2.service",
            "shop-web.target",
            "shop-worker-1.service",
            "shop-worker.target",
            "shop.target"
        ]
    );
    let head = "# Written by `vault export systemd`.\n[Unit]\n";
    assert_eq!(
        text(&sandbox, "project/out/shop.target"),
        format!(
            "{head}Wants=shop-web.target shop-worker.target\n\n[Install]\nWantedBy=multi-user.target\n"
        )
    );
    assert_eq!(
        text(&sandbox, "project/out/shop-web.target"),
        format!("{head}PartOf=shop.target\nWants=shop-web-1.service shop-web-2.service\n")
    );
    let service = |target: &str, name: &str, port: &str, start: &str| {
        format!(
            "{head}PartOf={target}\n\n\
             [Service]\nUser=shop\nWorkingDirectory=$SANDBOX/project\n\
             LoadCredentialEncrypted=vault-key:/etc/credstore.encrypted/shop.vault-key\n\
             Environment=VAULT_KEY_FILE=%d/vault-key\n\
             StateDirectory=shop\nEnvironment=XDG_STATE_HOME=%S/shop\n\
             Environment=PORT={port}\n\
             Environment=HONCHO_PROCESS_NAME={name}\nEnvironment=VAULT_PROCESS_NAME={name}\n\
             Environment=VAULT_DIR=$SANDBOX/project\n\
             ExecStart={start}\nRestart=always\nStandardInput=null\nStandardOutput=journal\n\
             StandardError=journal\nSyslogIdentifier=%n\nKillMode=mixed\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        )
    };
    let serve = format!("$VAULT run -e staging {CALL} -- /bin/sh -c 'serve --port $$PORT'");
    assert_eq!(
        text(&sandbox, "project/out/shop-web-2.service"),
        service("shop-web.target", "web.2", "5001", &serve)
    );
    let work = "/bin/sh -c 'vault run -e staging -- work'";
    assert_eq!(
        text(&sandbox, "project/out/shop-worker-1.service"),
        service("shop-worker.target", "worker.1", "5100", work)
    );
    assert_eq!(sandbox.mode("project/out/shop.target"), 0o644);
}

#[test]
fn supervisord_gets_one_file_with_a_program_for_each_process_and_their_group() {
    let sandbox = with_dotenv();
    export(&sandbox, &["supervisord", "out", "-u", "me", "-l", "logs", "-p", "80"]).run().expect(
        0,
        "",
        "vault: supervisord does not begin where the folder $SANDBOX/project/logs is missing\n\
         vault: 1 file written to `out`\n",
    );
    assert_eq!(files(&sandbox, "project/out"), ["shop.conf"]);
    let program = |name: &str, dotted: &str, port: &str, start: &str| {
        format!(
            "[program:{name}]\ncommand={start}\nautostart=true\nautorestart=true\n\
             stopsignal=TERM\nstopasgroup=true\nkillasgroup=true\n\
             stdout_logfile=$SANDBOX/project/logs/{name}.log\n\
             stderr_logfile=$SANDBOX/project/logs/{name}.error.log\n\
             user=me\ndirectory=$SANDBOX/project\n\
             environment=PORT=\"{port}\",HONCHO_PROCESS_NAME=\"{dotted}\",VAULT_PROCESS_NAME=\"{dotted}\"\n\n"
        )
    };
    let serve =
        format!("$VAULT run -e $SANDBOX/project/.env {CALL} -- /bin/sh -c 'serve --port $PORT'");
    let work = "/bin/sh -c 'vault run -e staging -- work'";
    assert_eq!(
        text(&sandbox, "project/out/shop.conf"),
        format!(
            "; Written by `vault export supervisord`.\n{}{}[group:shop]\nprograms=web-1,worker-1\n",
            program("web-1", "web.1", "80", &serve),
            program("worker-1", "worker.1", "180", work)
        )
    );
}

#[test]
fn runit_gets_a_folder_for_each_process_with_a_file_for_each_variable() {
    let sandbox = with_dotenv();
    export(&sandbox, &["runit", "out", "-c", "worker=0", "-s", "/bin/bash"]).run().expect(
        0,
        "",
        "vault: 5 files written to `out`\n",
    );
    assert_eq!(
        files(&sandbox, "project/out"),
        [
            "shop-web-1/env/HONCHO_PROCESS_NAME",
            "shop-web-1/env/PORT",
            "shop-web-1/env/VAULT_PROCESS_NAME",
            "shop-web-1/log/run",
            "shop-web-1/run"
        ]
    );
    assert_eq!(text(&sandbox, "project/out/shop-web-1/env/PORT"), "5000\n");
    assert_eq!(text(&sandbox, "project/out/shop-web-1/env/HONCHO_PROCESS_NAME"), "web.1\n");
    assert_eq!(
        text(&sandbox, "project/out/shop-web-1/run"),
        format!(
            "#!/bin/sh\n# Written by `vault export runit`.\nexec 2>&1\nENVDIR=$PWD/env\n\
             cd $SANDBOX/project || exit 1\nexec chpst -u shop -e \"$ENVDIR\" \\\n  \
             $VAULT run -e $SANDBOX/project/.env {CALL} -- /bin/bash -c 'serve --port $PORT'\n"
        )
    );
    assert_eq!(
        text(&sandbox, "project/out/shop-web-1/log/run"),
        "#!/bin/sh\n# Written by `vault export runit`.\nset -e\n\nLOG=/var/log/shop/web-1\n\n\
         if [ ! -d \"$LOG\" ]; then\n    mkdir -p -m 2750 \"$LOG\"\n    chown shop \"$LOG\"\nfi\n\n\
         exec chpst -u shop svlogd \"$LOG\"\n"
    );
    assert_eq!(sandbox.mode("project/out/shop-web-1/run"), 0o755);
    assert_eq!(sandbox.mode("project/out/shop-web-1/log/run"), 0o755);
    assert_eq!(sandbox.mode("project/out/shop-web-1/env/PORT"), 0o644);
}

#[test]
fn compose_gets_a_service_for_each_process_and_the_key_as_a_secret() {
    let sandbox = with_vault();
    sandbox.write("project/Procfile", "web: serve --port $PORT\n");
    export(&sandbox, &["compose", "out", "-e", "staging"]).run().expect(
        0,
        "",
        "vault: `image: shop` is a placeholder: write the image that has the app, and `vault` in its PATH\n\
         vault: the key is mounted from the file that VAULT_KEY_FILE names where `docker compose` is called\n\
         vault: 1 file written to `out`\n",
    );
    assert_eq!(files(&sandbox, "project/out"), ["compose.yaml"]);
    assert_eq!(
        text(&sandbox, "project/out/compose.yaml"),
        format!(
            r#"# Written by `vault export compose`.
name: "shop"
services:
  "web-1":
    # The image that has the app, and vault in its PATH.
    image: "shop"
    # The image's own entrypoint could call vault a second time, without the key.
    entrypoint: []
    command:
      - "vault"
      - "run"
      - "-e"
      - "staging"
      - "{CALL}"
      - "--"
      - "/bin/sh"
      - "-c"
      - "serve --port $$PORT"
    environment:
      PORT: "5000"
      HONCHO_PROCESS_NAME: "web.1"
      VAULT_PROCESS_NAME: "web.1"
      VAULT_KEY_FILE: "/run/secrets/vault_key"
    secrets:
      - vault_key
    restart: always
secrets:
  vault_key:
    file: "${{VAULT_KEY_FILE:?the path of the file that holds the key}}"
"#
        )
    );
}

#[test]
fn kubernetes_gets_a_deployment_for_each_type_whose_pods_are_alike() {
    let sandbox = with_vault();
    sandbox.write("project/Procfile", "worker_A: work\nweb: serve --port $PORT\n");
    export(&sandbox, &["k8s-deployment", "out", "-e", "staging", "-c", "web=3", "-u", "1000"])
        .run()
        .expect(
            0,
            "",
            "vault: `image: shop` is a placeholder: write the image that has the app, and `vault` in its PATH\n\
             vault: the key comes from the secret `shop-vault-key`: make it with \
             `kubectl create secret generic shop-vault-key --from-file=VAULT_KEY=FILE`\n\
             vault: 2 files written to `out`\n",
        );
    assert_eq!(files(&sandbox, "project/out"), ["shop-web.yaml", "shop-worker-a.yaml"]);
    assert_eq!(
        text(&sandbox, "project/out/shop-web.yaml"),
        format!(
            r#"# Written by `vault export k8s-deployment`.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "shop-web"
  labels:
    app.kubernetes.io/name: "shop"
    app.kubernetes.io/component: "web"
spec:
  replicas: 3
  selector:
    matchLabels:
      app.kubernetes.io/name: "shop"
      app.kubernetes.io/component: "web"
  template:
    metadata:
      labels:
        app.kubernetes.io/name: "shop"
        app.kubernetes.io/component: "web"
    spec:
      securityContext:
        runAsUser: 1000
      containers:
        - name: "web"
          # The image that has the app, and vault in its PATH.
          image: "shop"
          command:
            - "vault"
            - "run"
            - "-e"
            - "staging"
            - "{CALL}"
            - "--"
            - "/bin/sh"
            - "-c"
            - "serve --port $$PORT"
          env:
            - name: PORT
              value: "5100"
            - name: HONCHO_PROCESS_NAME
              value: "web"
            - name: VAULT_PROCESS_NAME
              value: "web"
            - name: VAULT_KEY
              valueFrom:
                secretKeyRef:
                  name: "shop-vault-key"
                  key: VAULT_KEY
                  optional: false
"#
        )
    );
}

#[test]
fn no_file_holds_a_value() {
    for sandbox in [with_vault(), with_dotenv()] {
        let dotenv = sandbox.path("project/.env").exists();
        let env: &[&str] = if dotenv { &[] } else { &["-e", "staging"] };
        for format in FORMATS {
            let out = export(&sandbox, &[format, format]).args(env).run();
            out.expect_that(0, "no value on the terminal", |out| {
                !out.out().contains(SECRET) && !out.err().contains(SECRET)
            });
            for file in files(&sandbox, &format!("project/{format}")) {
                let text = sandbox.read(Path::new("project").join(format).join(&file));
                assert!(!text.contains(SECRET), "{format}: {file}");
                assert!(!text.contains("AGE-SECRET-KEY"), "{format}: {file}");
            }
        }
    }
}

#[test]
fn release_is_a_oneshot_that_the_others_need_or_is_left_out_with_a_notice() {
    let sandbox = with_dotenv();
    sandbox.write("project/Procfile", "release: migrate\nweb: serve\n");
    export(&sandbox, &["systemd", "systemd", "-c", "release=2"]).run().success_or_notices();
    let release = sandbox.read("project/systemd/shop-release-1.service");
    assert!(release.contains("Type=oneshot\nRemainAfterExit=yes\n"), "{release}");
    assert!(!release.contains("Restart=") && !release.contains("Requires="), "{release}");
    assert!(!sandbox.path("project/systemd/shop-release-2.service").exists());
    let web = sandbox.read("project/systemd/shop-web-1.service");
    let needs = "Requires=shop-release-1.service\nAfter=shop-release-1.service\n";
    assert!(web.contains(needs), "{web}");
    // It keeps its hundred of the ports.
    assert!(web.contains("Environment=PORT=5100\n"), "{web}");
    for format in &FORMATS[1..] {
        let output = export(&sandbox, &[format, format]).run();
        let told = format!(
            "vault: `release` is left out: {format} has nothing that runs once, before the others\n"
        );
        output.expect_that(0, "it is told", |output| output.err().contains(&told));
        for file in files(&sandbox, &format!("project/{format}")) {
            let text = sandbox.read(Path::new("project").join(format).join(&file));
            assert!(!file.contains("release") && !text.contains("migrate"), "{format}: {file}");
        }
    }
}

#[test]
fn without_any_variables_the_shell_is_called_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("project/Procfile", "web: serve $PORT\n");
    export(&sandbox, &["systemd", "out"]).run().success_or_notices();
    let web = sandbox.read("project/out/shop-web-1.service");
    assert!(web.contains("ExecStart=/bin/sh -c 'serve $$PORT'\n"), "{web}");
    assert!(!web.contains("VAULT_KEY") && !web.contains("vault-key"), "{web}");
}

#[test]
fn the_procfile_and_the_dotenv_file_lie_in_the_named_folder() {
    let sandbox = with_dotenv();
    sandbox.write("project/app/Other", "job: work\n");
    sandbox.write("project/app/more.env", "A=1\n");
    let args = ["-d", "./app/../app", "-f", "Other", "-e", "more.env", "-a", "shop"];
    sandbox.vault(["export", "systemd", "out"]).args(args).run().success_or_notices();
    let job = text(&sandbox, "project/out/shop-job-1.service");
    assert!(job.contains("WorkingDirectory=$SANDBOX/project/app\n"), "{job}");
    assert!(job.contains("$VAULT run -e $SANDBOX/project/app/more.env --preserve-env="), "{job}");
    // The app is named after the folder, and PROCFILE and PORT count as for Honcho.
    let run = sandbox.vault(["export", "systemd", "named", "-d", "app"]).env("PROCFILE", "Other");
    run.env("PORT", "7000").run().success_or_notices();
    let job = sandbox.read("project/named/app-job-1.service");
    assert!(job.contains("User=app\n") && job.contains("Environment=PORT=7000\n"), "{job}");
}

#[test]
fn a_list_of_environments_may_have_dotenv_files_and_each_must_be_there() {
    let sandbox = with_vault();
    sandbox.write("project/local.env", "A=1\n");
    export(&sandbox, &["systemd", "out", "-e", "staging,local.env"]).run().success_or_notices();
    let web = text(&sandbox, "project/out/shop-web-1.service");
    assert!(web.contains("run -e staging,$SANDBOX/project/local.env --preserve"), "{web}");
    let before = sandbox.snapshot();
    export(&sandbox, &["systemd", "new", "-e", "stagin"]).run().expect(
        3,
        "",
        "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
    export(&sandbox, &["systemd", "new", "-e", "staging,none.env"]).run().expect(
        3,
        "",
        "vault: the dotenv file `none.env` does not exist\n\
         hint: leave it out of `-e`, or make the file\n",
    );
    export(&sandbox, &["systemd", "new"]).run().expect_like(
        2,
        "",
        "vault: no environment[..]\nhint: [..]\n",
    );
    sandbox.assert_unchanged_since(&before);
    // Where every line says its environment itself, none is needed.
    sandbox.write("project/Procfile", "web: vault  run -e staging -- serve\n");
    export(&sandbox, &["systemd", "new"]).run().success_or_notices();
    // No key is needed either.
    let stranger = sandbox.another_home("stranger");
    export(&stranger, &["systemd", "other", "-e", "staging"]).run().success_or_notices();
}

#[test]
fn a_vault_that_is_meant_and_missing_is_not_replaced_by_a_dotenv_file() {
    let sandbox = with_dotenv();
    let before = sandbox.snapshot();
    let run = export(&sandbox, &["systemd", "out"]).env("VAULT_ENV", "staging").run();
    run.expect_like(3, "", "vault: there is no vault here[..]\nhint: [..]\n");
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn what_has_no_form_is_refused_before_anything_is_written() {
    let sandbox = with_dotenv();
    let before = sandbox.snapshot();
    for (args, error) in [
        (&["-a", "a/b"][..], "the name of the app, `a/b`: it has to be letters"),
        (&["-a", "../b"], "the name of the app, `../b`: "),
        (&["-a", ""], "the name of the app, ``: "),
        (&["-a", "a\nb"], "the name of the app, `a\\u{a}b`: "),
        (&["-u", "a\nb"], "`-u`: it is no user's name"),
        (&["-u=-x"], "`-u`: it is no user's name"),
        (&["-s", "/bin/sh\nx"], "`-s`: it has to be the absolute path of one program"),
        (&["-s", "/bin/bash -e"], "`-s`: it has to be the absolute path of one program"),
        (&["-s", "bash"], "`-s`: it has to be the absolute path of one program"),
        (&["-l", "/var/a\nb"], "the path `/var/a\\u{a}b` has a control character"),
        (&["-p", "eighty"], "`-p eighty` is no port"),
        (&["-p", "65500"], "`worker.1`: its port would be 65600"),
        (&["-c", "web"], "`-c web` is not a list of TYPE=NUMBER"),
        (&["-c", "web=0,worker=0"], "there is no process to export"),
        (&["-f", "None"], "Procfile `None` does not exist or is not a file"),
    ] {
        for format in FORMATS {
            let output = sandbox.vault(["export", format, "out"]).args(args).run();
            let told = format!("vault: {error}");
            output.expect_that(1, &told, |out| out.err().starts_with(&told));
        }
    }
    sandbox.assert_unchanged_since(&before);
    sandbox.write("project/Procfile", "web: a\u{1b}[31m\n");
    let before = sandbox.snapshot();
    for format in FORMATS {
        let told = "vault: process type `web`: the command has a control character, which no file of units can hold\n";
        export(&sandbox, &[format, "out"]).run().expect(1, "", told);
    }
    sandbox.assert_unchanged_since(&before);
    sandbox.write("project/Procfile", "a_b: x\na-b: y\n");
    export(&sandbox, &["k8s-deployment", "out"]).run().expect(
        1,
        "",
        "vault: two process types would both be written to `shop-a-b.yaml`\n\
         hint: give one of them another name\n",
    );
}

#[test]
fn options_of_the_other_sort_of_format_are_refused() {
    let sandbox = with_vault();
    let before = sandbox.snapshot();
    let others = "systemd, supervisord, runit, compose, k8s-deployment";
    for (args, option) in [
        (&["out"][..], "LOCATION"),
        (&["-a", "x"], "-a"),
        (&["-l", "x"], "-l"),
        (&["-p", "1"], "-p"),
        (&["-c", "x=1"], "-c"),
        (&["-u", "x"], "-u"),
        (&["-s", "/bin/sh"], "-s"),
        (&["-f", "Procfile"], "-f"),
    ] {
        sandbox.vault(["export", "json"]).args(args).run().expect(
            2,
            "",
            &format!("vault: `json` takes no `{option}`\nhint: `{option}` belongs to {others}\n"),
        );
    }
    for (args, option) in
        [(["-o", "x"], "-o"), (["--only", "A"], "--only"), (["--except", "A"], "--except")]
    {
        sandbox.vault(["export", "systemd", "out"]).args(args).run().expect(
            2,
            "",
            &format!(
                "vault: `systemd` takes no `{option}`\nhint: `{option}` belongs to dotenv, shell, fish, powershell, json, yaml, docker, systemd-env, k8s, github, fly, tfvars, tfvars-json, null\n"
            ),
        );
    }
    sandbox.vault(["export", "runit"]).run().expect(
        2,
        "",
        "vault: `runit` needs the folder to write to\nhint: vault export runit LOCATION\n",
    );
    for format in ["systemd", "json"] {
        sandbox.vault(["export", format, "-t", "x"]).run().expect_like(
            2,
            "",
            "vault: templates are not supported: [..]\nhint: [..]\n",
        );
    }
    sandbox.vault(["export", "upstart", "out"]).run().expect(
        2,
        "",
        "vault: upstart is not supported: Ubuntu and Debian replaced upstart by systemd in 2015\n\
         hint: use `systemd`\n",
    );
    sandbox.vault(["export", "systemdd", "out"]).run().expect(
        2,
        "",
        "vault: there is no export format `systemdd`\nhint: did you mean `systemd`?\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn files_are_replaced_and_links_are_not_followed() {
    let sandbox = with_dotenv();
    sandbox.write("project/out/shop-web-1/run", "old");
    sandbox.write("project/out/shop-web-1/env/MINE", "kept");
    export(&sandbox, &["runit", "out"]).run().expect(0, "", "vault: 10 files written to `out`\n");
    assert_eq!(sandbox.mode("project/out/shop-web-1/run"), 0o755);
    assert_eq!(sandbox.read("project/out/shop-web-1/env/MINE"), "kept");
    assert!(!files(&sandbox, "project/out").iter().any(|file| file.contains(".vault-export")));

    sandbox.write("project/target", "mine");
    std::fs::create_dir_all(sandbox.path("project/links")).unwrap();
    symlink("../target", sandbox.path("project/links/shop.conf")).unwrap();
    symlink("../out", sandbox.path("project/links/shop-worker-1")).unwrap();
    symlink("nowhere", sandbox.path("project/links/compose.yaml")).unwrap();
    let before = sandbox.snapshot();
    for (format, told) in [
        ("supervisord", "`links/shop.conf` is a link or no regular file"),
        ("compose", "`links/compose.yaml` is a link or no regular file"),
        ("runit", "`links/shop-worker-1` is a link or no folder"),
    ] {
        export(&sandbox, &[format, "links"]).run().expect(
            1,
            "",
            &format!("vault: {told}, and is not written through\n"),
        );
    }
    sandbox.assert_unchanged_since(&before);
}

impl crate::support::run::Output {
    /// Status 0, whatever the notices; they have tests of their own.
    #[track_caller]
    fn success_or_notices(self) {
        self.expect_that(0, "it is written", |_| true);
    }
}
