use super::*;

#[test]
fn of_two_made_at_once_the_later_one_stays_the_newest_here() {
    let environment = "staging".parse().unwrap();
    let place = Place::new(std::path::Path::new("/project"), &environment);
    let made = |made: u64, byte: u8| {
        let known = Known {
            environment: "staging".to_owned(),
            made,
            abandoned: false,
            noted: false,
            mark: None,
            members: BTreeMap::new(),
            former: BTreeMap::new(),
        };
        Seen {
            place: place.clone(),
            id: "1d".to_owned(),
            fingerprint: Fingerprint([byte; 32]),
            known,
        }
    };
    let mut memory = Memory::default();
    for (time, byte) in [(5, 5), (9, 9), (7, 7)] {
        memory.accept_made(made(time, byte));
    }
    assert_eq!(memory.id["1d"].len(), 3);
    assert_eq!(memory.here(&place).unwrap().newest["1d"], "09".repeat(32));
}
