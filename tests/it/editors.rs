//! Real editors with dotfiles that keep everything, on a real disk: an ext4 image that holds the home folder,
//! the folder for temporary files and the project. After `vault edit`, whatever its end, the bytes of the image
//! hold nothing of the text; after the same editor alone they do.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a disk of our own")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Signal, kill_process};

use crate::support::barrier::until;
use crate::support::needs::{needs, needs_disk, needs_landlock, needs_namespaces};
use crate::support::processes;
use crate::support::pty::Terminal;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

/// How an editor is used, and what makes it keep what it should not.
struct Editor {
    program: &'static str,
    words: &'static [&'static str],
    dotfiles: &'static [(&'static str, &'static str)],
    /// Folders in the home.
    folders: &'static [&'static str],
    /// Takes all of the text into its memory of what was cut, where it has one that it keeps.
    copy: &'static str,
    /// It takes a pasted line as one change, wherever in its input that stands.
    pastes: bool,
    /// Before and after a line that is typed at the end.
    line: (&'static str, &'static str),
    save: &'static str,
    saved: &'static str,
    quit: &'static str,
}

const VIM_KEEPS: &str =
    "set nocompatible viminfo='100,<1000,s1000,h undofile backup writebackup swapfile updatecount=1
set undodir=~/keep/undo backupdir=~/keep/backup,. directory=~/keep/swap,.
";
const VIM: Editor = Editor {
    program: "vim",
    words: &[],
    dotfiles: &[(".vimrc", VIM_KEEPS)],
    folders: &["keep/undo", "keep/backup", "keep/swap"],
    copy: ":%yank a\r",
    pastes: true,
    line: ("Go", "\u{1b}"),
    save: ":w\r",
    saved: "written",
    quit: ":q\r",
};
const NEOVIM: Editor = Editor {
    program: "nvim",
    dotfiles: &[(
        ".config/nvim/init.vim",
        "set shada='100,<1000,s1000,h undofile backup writebackup swapfile updatecount=1
set undodir=~/keep/undo backupdir=~/keep/backup,. directory=~/keep/swap,.
",
    )],
    ..VIM
};
const NANO: Editor = Editor {
    program: "nano",
    // For root it would take the home of the list of users.
    words: &["--rcfile=HOME/.nanorc"],
    dotfiles: &[(
        ".nanorc",
        "set backup\nset backupdir \"HOME/keep/backup\"\nset historylog\nset positionlog\nset locking\n",
    )],
    folders: &["keep/backup"],
    copy: "",
    pastes: true,
    line: ("\u{1b}/", "\r"),
    save: "\u{f}\r",
    saved: "Wrote ",
    quit: "\u{18}",
};
const EMACS: Editor = Editor {
    program: "emacs",
    words: &["-nw"],
    dotfiles: &[(
        ".emacs",
        "(setq inhibit-startup-screen t xterm-extra-capabilities nil native-comp-deferred-compilation nil backup-by-copying t create-lockfiles t auto-save-interval 20
  backup-directory-alist '((\".*\" . \"~/keep/backup\"))
  auto-save-file-name-transforms '((\".*\" \"~/keep/auto/\" t))
  savehist-additional-variables '(kill-ring))
(savehist-mode 1) (recentf-mode 1) (save-place-mode 1) (desktop-save-mode 1)
(setq desktop-save t desktop-path '(\"~/keep\"))
",
    )],
    folders: &[".emacs.d", "keep/backup", "keep/auto"],
    copy: "\u{18}h\u{1b}w",
    pastes: true,
    line: ("\u{1b}>", "\r"),
    save: "\u{18}\u{13}",
    saved: "Wrote /",
    quit: "\u{18}\u{3}",
};
const MICRO: Editor = Editor {
    program: "micro",
    words: &[],
    dotfiles: &[(
        ".config/micro/settings.json",
        "{\"backup\": true, \"permbackup\": true, \"savehistory\": true, \"saveundo\": true, \"savecursor\": true}",
    )],
    folders: &[],
    // Cut and put back: what was cut stands in the undo file.
    copy: "\u{1}\u{18}\u{16}",
    pastes: false,
    line: ("", "\r"),
    save: "\u{13}",
    // Of the message before it a letter may be left where it was.
    saved: "ved",
    quit: "\u{11}",
};

/// How it comes to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Quit,
    KillEditor,
    KillVault,
    HangUp,
    Terminate,
}

/// An ext4 file system in a file, which writes at once.
struct Disk {
    image: PathBuf,
    place: PathBuf,
}

impl Disk {
    fn new(person: &Sandbox, name: &str) -> Self {
        // Not below /tmp: that is hidden from the editor whatever lies there.
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let place = place.join(format!("disk-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).expect("a folder to mount at");
        let image = person.path(format!("image-{name}"));
        let script = "truncate -s 64M $0 && mkfs.ext4 -q $0 && mount -o loop,sync $0 $1";
        person.sh(script).arg(&image).arg(&place).run().success();
        for folder in ["home", "tmp", "project"] {
            std::fs::create_dir(place.join(folder)).expect("a folder on the disk");
        }
        // There is a project above, which is not meant.
        std::fs::write(place.join("project/vault.toml"), "").expect("a project");
        Self { image, place }
    }

    /// A program that lives on this disk.
    fn dress(&self, run: Run) -> Run {
        let home = self.place.join("home");
        run.cwd(self.place.join("project"))
            .env("HOME", &home)
            .env("TMPDIR", self.place.join("tmp"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("TERM", "xterm")
            .env_remove("XDG_RUNTIME_DIR")
            // Emacs would take the dotfile of a user of that name.
            .env_remove("USER")
    }

    fn vault(&self, person: &Sandbox, words: &[&str]) -> Run {
        self.dress(person.vault(words))
    }

    fn furnish(&self, editor: &Editor) {
        let home = self.place.join("home");
        for folder in editor.folders {
            std::fs::create_dir_all(home.join(folder)).expect("a folder in the home");
        }
        for (path, text) in editor.dotfiles {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let text = text.replace("HOME", &home.to_string_lossy());
            std::fs::write(path, text).expect("a dotfile");
        }
    }

    /// Which of the words stand in the bytes of the disk, in one of the forms in which editors write.
    fn holds(&self, person: &Sandbox, words: &[&str]) -> String {
        // A search of ours would be slow without optimization.
        let script = "import sys\nbytes = open(sys.argv[1], 'rb').read()\nfor word in sys.argv[2:]:\n    \
                      plain = word.encode()\n    for form in plain, plain[::-1], word.encode('utf-16le'):\n        \
                      if form in bytes: print(word)\n";
        let run = person.program("python3", ["-c", script]).arg(&self.image).args(words).run();
        run.success().out().to_owned()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        // It may be in use by what failed.
        drop(umount.arg("-l").arg(&self.place).status());
        drop(std::fs::remove_dir(&self.place));
    }
}

/// A word that stands nowhere else. Letters alone: editors colour numbers.
fn marker(what: &str) -> String {
    let mut bytes = [0; 12];
    let mut random = std::fs::File::open("/dev/urandom").expect("random bytes");
    std::io::Read::read_exact(&mut random, &mut bytes).expect("random bytes");
    bytes.iter().fold(what.to_owned(), |text, byte| {
        format!("{text}{}{}", char::from(b'a' + byte / 16), char::from(b'a' + byte % 16))
    })
}

impl Editor {
    fn write(&self, terminal: &mut Terminal, name: &str, word: &str) {
        let (before, after) = self.line;
        let line = format!("{name}={word}");
        if self.pastes {
            // Drawn in one piece, but for the end, where the cursor is.
            terminal.type_raw(format!("{before}\u{1b}[200~{line}\u{1b}[201~{after}"));
            terminal.expect(word.get(..word.len() - 4).expect("a long word"));
            return;
        }
        terminal.type_raw(format!("{before}{line}{after}"));
        let mut rows = 24;
        let drawn = || {
            // A new size has it drawn anew.
            rows = if rows == 24 { 30 } else { 24 };
            terminal.resize(rows, 100);
            terminal.screen().contains(word)
        };
        until(drawn, "the line on the screen");
    }

    /// Opens, copies, writes and saves.
    fn work(&self, terminal: &mut Terminal, stored: &str, (name, typed): (&str, &str)) {
        terminal.expect(stored);
        terminal.type_raw(self.copy);
        self.write(terminal, name, typed);
        terminal.type_raw(self.save);
        terminal.expect(self.saved);
    }

    /// Without vault, the same dotfiles bring the text to the disk.
    fn assert_leaks_alone(&self, alice: &Sandbox) {
        let disk = Disk::new(alice, &format!("{}-alone", self.program));
        disk.furnish(self);
        let (stored, typed) = (marker("stored"), marker("typed"));
        let text = Path::new("/dev/shm").join(format!("{}-{}", self.program, std::process::id()));
        std::fs::write(&text, format!("ALPHA={stored}\n")).expect("a text in memory");
        let run = disk.dress(alice.program("env", self.command(&disk))).arg(&text);
        let mut terminal = run.on_terminal();
        self.work(&mut terminal, &stored, ("NEW", &typed));
        terminal.type_raw(self.quit);
        terminal.expect_end();
        std::fs::remove_file(&text).expect("the text");
        let kept = disk.holds(alice, &[&stored, &typed]);
        assert_ne!(kept, "", "{} keeps nothing", self.program);
    }

    /// The words of its command.
    fn command(&self, disk: &Disk) -> Vec<String> {
        let home = disk.place.join("home");
        let words = [&[self.program], self.words].concat().into_iter();
        words.map(|word| word.replace("HOME", &home.to_string_lossy())).collect()
    }

    fn assert_leaves_nothing(&self) {
        let tools = [self.program, "setsid", "mkfs.ext4", "python3"].into_iter().all(needs);
        if !tools || !needs_disk() || !needs_namespaces() || !needs_landlock() {
            return;
        }
        let alice = Sandbox::new();
        self.assert_leaks_alone(&alice);
        let disk = Disk::new(&alice, self.program);
        disk.furnish(self);
        let init = disk.vault(&alice, &["init", "--name", "alice", "-e", "staging"]).run();
        init.expect_that(0, "a vault on the disk", |_| true);
        for tier in ["namespace", "landlock"] {
            for end in [End::Quit, End::KillEditor, End::KillVault, End::HangUp, End::Terminate] {
                self.trial(&alice, &disk, tier, end);
            }
        }
    }

    fn trial(&self, alice: &Sandbox, disk: &Disk, tier: &str, end: End) {
        let [stored, typed, unsaved] = ["stored", "typed", "unsaved"].map(marker);
        disk.vault(alice, &["set", "-e", "staging", "ALPHA"]).stdin(&stored).run().success();
        let name = format!("NEW_{tier}_{end:?}");
        let command = self.command(disk).join(" ");
        let words = ["edit", "staging", "--isolation", tier, "--editor", &command];
        let mut terminal = disk.vault(alice, &words).on_terminal();
        terminal.expect(&format!("({tier})"));
        self.work(&mut terminal, &stored, (&name, &typed));
        if end != End::Quit {
            self.write(&mut terminal, "MORE", &unsaved);
        }
        match end {
            End::Quit => terminal.type_raw(self.quit),
            End::KillEditor => self.kill(&disk.place),
            End::KillVault => terminal.kill(Signal::KILL),
            End::HangUp => terminal.hang_up(),
            End::Terminate => terminal.kill(Signal::TERM),
        }
        let (screen, status) = terminal.expect_end();
        let told = format!("{} in {tier}, {end:?}: {screen}", self.program);
        match end {
            End::Quit => assert_eq!(status.code(), Some(0), "{told}"),
            End::KillEditor => assert_eq!(status.code(), Some(1), "{told}"),
            End::KillVault => assert_eq!(status.signal(), Some(9), "{told}"),
            End::HangUp => assert_eq!(status.signal(), Some(1), "{told}"),
            End::Terminate => assert_eq!(status.signal(), Some(15), "{told}"),
        }
        until(|| processes::of_sandbox(&disk.place).is_empty(), "the end of the editor");
        let got = disk.vault(alice, &["get", "-e", "staging", &name]).run();
        assert_eq!(got.out() == typed, end == End::Quit, "{told}");
        assert_eq!(disk.holds(alice, &[&stored, &typed, &unsaved]), "", "on the disk: {told}");
    }

    /// Kills everybody of the editor, and not vault.
    fn kill(&self, place: &Path) {
        let name = |pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let all = processes::of_sandbox(place);
        let its: Vec<_> = all.into_iter().filter(|pid| name(*pid) != "vault\n").collect();
        assert!(!its.is_empty(), "{} runs", self.program);
        for pid in its {
            // One may end with another.
            let _or_gone = kill_process(pid, Signal::KILL);
        }
    }
}

#[test]
fn vim_leaves_nothing_on_a_disk() {
    VIM.assert_leaves_nothing();
}

#[test]
fn neovim_leaves_nothing_on_a_disk() {
    NEOVIM.assert_leaves_nothing();
}

#[test]
fn nano_leaves_nothing_on_a_disk() {
    NANO.assert_leaves_nothing();
}

#[test]
fn emacs_leaves_nothing_on_a_disk() {
    EMACS.assert_leaves_nothing();
}

#[test]
fn micro_leaves_nothing_on_a_disk() {
    MICRO.assert_leaves_nothing();
}
