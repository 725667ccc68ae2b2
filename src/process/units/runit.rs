//! Service folders of runit, under Honcho's names: `run`, `log/run`, and `env` with a file for each variable.

use std::path::Path;

use super::{Plan, UnitFile, UnitFormat, Written, dashed, for_shell};
use crate::vars::name::shown;

pub(super) fn write(plan: &Plan) -> Written {
    let user = for_shell(plan.user());
    let folder = for_shell(&plan.folder.to_string_lossy());
    let mut files = Vec::new();
    for one in plan.kept(UnitFormat::Runit) {
        let name = plan.name(one);
        let service = Path::new(&name);
        for (name, value) in plan.variables(one) {
            files.push(UnitFile::new(service.join("env").join(name), format!("{value}\n")));
        }
        let log = for_shell(&plan.log().join(dashed(&one.name)).to_string_lossy());
        files.push(UnitFile::executable(
            service.join("log/run"),
            format!(
                "#!/bin/sh\n\
                 # Written by `vault export runit`.\n\
                 set -e\n\n\
                 LOG={log}\n\n\
                 if [ ! -d \"$LOG\" ]; then\n    \
                     mkdir -p -m 2750 \"$LOG\"\n    \
                     chown {user} \"$LOG\"\n\
                 fi\n\n\
                 exec chpst -u {user} svlogd \"$LOG\"\n"
            ),
        ));
        let words: Vec<String> =
            plan.words(one, UnitFormat::Runit).iter().map(|word| for_shell(word)).collect();
        // Last, because runsv starts a folder as soon as it has this file. `/bin/sh` and not the app's
        // shell, which may be one that reads another language.
        files.push(UnitFile::executable(
            service.join("run"),
            format!(
                "#!/bin/sh\n\
                 # Written by `vault export runit`.\n\
                 exec 2>&1\n\
                 ENVDIR=$PWD/env\n\
                 cd {folder} || exit 1\n\
                 exec chpst -u {user} -e \"$ENVDIR\" \\\n  {}\n",
                words.join(" ")
            ),
        ));
    }
    let mut notices = Vec::new();
    if plan.has_vault() {
        notices.push(format!(
            "the key is not named in the files: write the path of a file that the user {} can read into \
             `env/VAULT_KEY_FILE` of each service folder",
            shown(plan.user())
        ));
    }
    (files, notices)
}
