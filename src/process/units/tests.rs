use super::*;

/// A plan with one process of this command.
fn plan(command: &str) -> Plan {
    Plan {
        app: "shop".to_owned(),
        folder: "/srv/shop".into(),
        log: None,
        user: None,
        shell: "/bin/sh".to_owned(),
        vault: "/usr/bin/vault".into(),
        environment: Wanted::Nothing,
        project: None,
        instances: vec![Instance {
            name: "web.1".to_owned(),
            type_name: "web".to_owned(),
            number: 1,
            command: command.to_owned(),
            port: 5000,
        }],
    }
}

/// All texts of the files for one process of this command.
fn text(format: UnitFormat, command: &str) -> String {
    let (files, _) = write(format, &plan(command)).unwrap();
    files.into_iter().map(|file| file.text).collect()
}

#[test]
fn a_newline_in_a_command_keeps_its_place_in_every_format() {
    for (format, line) in [
        (UnitFormat::Systemd, "ExecStart=/bin/sh -c 'a  \\n  b # c\\n; d'\n"),
        (UnitFormat::Supervisord, "command=/bin/sh -c 'a  ''\n ''  b ''# c''\n ''''; d'\n"),
        (UnitFormat::Runit, "  /bin/sh -c 'a  \n  b # c\n; d'\n"),
        (UnitFormat::Compose, "      - \"a  \\n  b # c\\n; d\"\n"),
        (UnitFormat::Kubernetes, "            - \"a  \\n  b # c\\n; d\"\n"),
    ] {
        let found = text(format, "a  \n  b # c\n; d");
        assert!(found.contains(line), "{format:?}: {found}");
    }
}

#[test]
fn what_systemd_reads_in_words_and_settings_is_doubled_or_escaped() {
    let mut plan = plan(r#"a "b" 'c' \ % $D	e"#);
    plan.folder = "/srv/100% $x".into();
    plan.user = Some("50%".to_owned());
    let (files, _) = write(UnitFormat::Systemd, &plan).unwrap();
    let text = &files.iter().find(|file| file.path.ends_with("shop-web-1.service")).unwrap().text;
    assert!(text.contains("User=50%%\nWorkingDirectory=/srv/100%% $x\n"), "{text}");
    assert!(text.contains(r#"-c 'a "b" \'c\' \\ %% $$D\te'"#), "{text}");
}

#[test]
fn settings_that_supervisord_cuts_or_replaces_are_refused() {
    for folder in ["/a ; b", "/a #b", "/a\"b", "/it's", "/%(here)s"] {
        let mut plan = plan("a");
        plan.folder = folder.into();
        assert!(write(UnitFormat::Supervisord, &plan).is_err(), "{folder}");
        assert!(write(UnitFormat::Runit, &plan).is_ok(), "{folder}");
    }
}

#[test]
fn paths_that_a_reader_would_shorten_or_split_are_refused() {
    for path in ["/a ", "/a\\", "/a\u{7f}", "/a\nb"] {
        let mut plan = plan("a");
        plan.folder = path.into();
        for format in UnitFormat::ALL {
            assert!(write(format, &plan).is_err(), "{path:?}");
        }
    }
    let mut plan = plan("a");
    plan.environment = Wanted::Files(vec!["/a,b/.env".into()]);
    assert!(write(UnitFormat::Systemd, &plan).is_err());
}

#[test]
fn a_line_is_wrapped_unless_it_begins_with_the_two_words() {
    for command in ["vault run", "vault run -e a -- b", "vault \t run x"] {
        assert!(is_wrapped(command), "{command}");
    }
    for command in ["vault", "vault runx", "vault-run a", "/usr/bin/vault run a", "exec vault run"]
    {
        assert!(!is_wrapped(command), "{command}");
    }
}

#[test]
fn names_for_kubernetes_are_labels() {
    let mut plan = plan("a");
    plan.app = "My_Shop.".to_owned();
    let (files, _) = write(UnitFormat::Kubernetes, &plan).unwrap();
    assert_eq!(files[0].path, Path::new("my-shop-web.yaml"));
    plan.app = "a".repeat(60);
    assert!(write(UnitFormat::Kubernetes, &plan).is_err());
    plan.app = "shop".to_owned();
    plan.instances[0].type_name = "-_-".to_owned();
    assert!(write(UnitFormat::Kubernetes, &plan).is_err());
}

#[test]
fn what_yaml_does_not_print_is_escaped() {
    let found = text(UnitFormat::Compose, "a\u{feff}é\u{2028}\u{1f600}\"\\");
    assert!(found.contains("- \"a\\ufeffé\\u2028\u{1f600}\\\"\\\\\"\n"), "{found}");
}
