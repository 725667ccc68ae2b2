//! Handshakes instead of sleeps: wait for what the other side has done, with a
//! bound after which the test fails and says what never came.

use std::path::Path;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that passes never waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Returns as soon as `condition` holds.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool, what: &str) {
    assert!(
        holds_within(PATIENCE, &mut condition),
        "waited {} s in vain for this: {what}",
        PATIENCE.as_secs()
    );
}

/// Whether `condition` came true within `limit`; for messages of one's own.
pub(crate) fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > limit {
            // Time may have gone by between the look and the clock.
            return condition();
        }
        // Short enough not to be felt, long enough to leave the core to the
        // process that is waited for.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until something lies at `path`.
#[track_caller]
pub(crate) fn wait_for(path: &Path) {
    until(|| path.symlink_metadata().is_ok(), &format!("{} to exist", path.display()));
}

/// Waits until the file at `path` ends with a newline and returns its text. A
/// file appears before its content does, so `wait_for` and a read would race.
#[track_caller]
pub(crate) fn wait_for_line(path: &Path) -> String {
    let mut text = String::new();
    until(
        || {
            text = std::fs::read_to_string(path).unwrap_or_default();
            text.ends_with('\n')
        },
        &format!("{} to hold a whole line", path.display()),
    );
    text
}
