use domain::{OrderBounds, Quantity, Symbol};
use gateway::AdmissionLimits;

use super::{instruments::decimal_e4, *};

#[test]
fn the_default_is_valid_and_has_what_the_readme_says() {
    let config = Config::load(None).unwrap();
    assert_eq!(config.instruments.len(), 64);
    let aapl = config.instruments.iter().find(|i| i.symbol == Symbol::new("AAPL").unwrap()).unwrap();
    assert_eq!((aapl.tick, aapl.lot), (100, 1));
    assert_eq!(config.users.len(), 8);
    assert!(config.embedded);
}

#[test]
fn what_is_wrong_is_named() {
    let with = |from: &str, to: &str| {
        assert!(DEFAULT.contains(from), "{from}");
        Config::parse(&DEFAULT.replacen(from, to, 1)).unwrap_err()
    };
    assert!(with("held = 65536", "held = 99999999").contains("admission.held: 99999999"));
    assert!(with("held = 65536", "hold = 65536").contains("hold"));
    assert!(with("soup = ", "soap = ").contains("soap"));
    assert!(with("allow = []", "allow = [\"10.0.0.1/8\"]").contains("allow: \"10.0.0.1/8\" is no network"));
    assert!(
        with("silence_s = 15", "silence_s = 15\nunauthenticated = 0")
            .contains("limits.unauthenticated: with 0")
    );
    assert!(with("certificate = \"\"", "certificate = \"a.pem\"").contains("tls.key: "));
    assert!(with("\nkey = \"\"", "\nkey = \"a.key\"").contains("tls.certificate: "));
    assert!(with("client_ca = \"\"", "client_ca = \"ca.pem\"").contains("tls.client_ca: "));
    assert!(with("ack = \"disk\"", "ack = \"tape\"").contains("use memory or disk"));
    assert!(with("idle = \"backoff\"", "idle = \"nap\"").contains("idle: "));
    assert!(
        with("placement = \"hash\"", "placement = \"heap\"").contains("placement: no placement \"heap\"")
    );
    let balance = with("balance = \"full\"", "balance = \"half\"");
    assert!(balance.contains("balance: no balance \"half\": use off, steal, migrate or full"));
    assert!(with("\"AAPL\"", "\"A PL\"").contains("A PL"));
    assert!(with("\"MSFT\"", "\"AAPL\"").contains("twice"));
    assert!(with("name = \"DEV2\"", "name = \"dev1\"").contains("twice"));
    assert!(with("tick = \"0.01\"", "tick = \"0.00001\"").contains("0.00001"));
    assert!(with("end_of_day_utc = \"\"", "end_of_day_utc = \"24:00\"").contains("21:00"));
    assert!(with("retain = \"all\"", "retain = \"some\"").contains("use all or snapshots"));
    assert!(with("archive = \"\"", "archive = \"old\"").contains("nothing is removed"));
    assert!(with("snapshots_on = \"both\"", "snapshots_on = \"1\"").contains("use both or standby"));
    let bounded = |bounds: &str| with("{ symbol = \"NVDA\" }", &format!("{{ symbol = \"NVDA\", {bounds} }}"));
    for (bounds, says) in [
        ("quantity_min = 0", "smallest quantity must be above 0"),
        ("quantity_min = 1000000", "at most the largest"),
        ("notional_min = \"1,5\"", "notional_min \"1,5\" is no amount"),
        ("notional_max = \"many\"", "notional_max \"many\" is no amount"),
        ("notional_max = \"0.009\"", "largest notional must be above 0"),
        ("notional_min = \"10.01\", notional_max = \"10\"", "not below the smallest"),
        ("notional_min = \"200000000000\"", "highest price times the largest quantity"),
    ] {
        let said = bounded(bounds);
        assert!(said.contains("instrument \"NVDA\"") && said.contains(says), "{bounds}: {said}");
    }
}

#[test]
fn notionals_are_counted_in_ticks_times_lots() {
    // The bounds in the defaults, and how they stand in the file.
    let lines = "quantity_min = 1\n";
    let notionals = "notional_min = \"\"\nnotional_max = \"\"\n";
    assert!(DEFAULT.contains(lines) && DEFAULT.contains(notionals));
    let nvda = "{ symbol = \"NVDA\" }";
    let with = |instrument: &str, defaults: [&str; 2]| {
        let text = DEFAULT.replace(lines, defaults[0]).replace(notionals, defaults[1]);
        let config = Config::parse(&text.replace(nvda, instrument)).unwrap();
        let found = config.instruments.iter().find(|i| i.symbol == Symbol::new("NVDA").unwrap());
        found.unwrap().bounds
    };
    assert_eq!(with(nvda, [lines, notionals]), OrderBounds::NONE);
    // They may be left out.
    assert_eq!(with(nvda, ["", ""]), OrderBounds::NONE);
    // Ticks of five cents, lots of 10: half a unit of currency each. Bounds between two multiples exclude both.
    let lots = "{ symbol = \"NVDA\", tick = \"0.05\", lot = 10, quantity_max = 9, notional_min = \"1.01\", \
                notional_max = \"2.99\", quantity_min = 2 }";
    let bounds = OrderBounds { quantity_min: Quantity(2), notional_min: 3, notional_max: 5 };
    assert_eq!(with(lots, ["", ""]), bounds);
    // An instrument says otherwise than the defaults, also that there is no bound.
    let defaults = ["quantity_min = 5\n", "notional_min = \"3\"\nnotional_max = \"7.5\"\n"];
    let bounds = OrderBounds { quantity_min: Quantity(5), notional_min: 300, notional_max: 750 };
    assert_eq!(with(nvda, defaults), bounds);
    let unbounded = "{ symbol = \"NVDA\", quantity_min = 1, notional_min = \"\", notional_max = \"\" }";
    assert_eq!(with(unbounded, defaults), OrderBounds::NONE);
}

#[test]
fn the_journal_is_kept_whole_unless_the_file_says_otherwise() {
    let keys =
        ["snapshots_on = \"both\"\n", "retain = \"all\"\n", "archive = \"\"\n", "retain_absent_mib = 0\n"];
    let without = keys.iter().fold(DEFAULT.to_owned(), |text, key| {
        assert!(text.contains(key), "{key}");
        text.replacen(key, "", 1)
    });
    let upkeep = |text: &str| Config::parse(text).unwrap().upkeep;
    let all = Upkeep { snapshot_bytes: 1 << 30, only_on_standby: false, retain: None };
    assert_eq!((upkeep(DEFAULT), upkeep(&without)), (all.clone(), all));
    let text = DEFAULT.replacen(keys[0], "snapshots_on = \"standby\"\n", 1);
    let text = text.replacen(keys[1], "retain = \"snapshots\"\n", 1);
    let retain = Retain { archive: None, absent_bytes: None };
    let some = Upkeep { snapshot_bytes: 1 << 30, only_on_standby: true, retain: Some(retain) };
    assert_eq!(upkeep(&text), some);
    let text =
        text.replacen(keys[2], "archive = \"/old\"\n", 1).replacen(keys[3], "retain_absent_mib = 3\n", 1);
    let retain = Retain { archive: Some("/old".into()), absent_bytes: Some(3 << 20) };
    assert_eq!(upkeep(&text).retain, Some(retain));
}

#[test]
fn admission_may_be_left_out_and_switched_off() {
    let start = DEFAULT.find("[admission]").unwrap();
    let end = start + DEFAULT[start..].find("# Who may log in").unwrap();
    let with = |section: &str| {
        let text = format!("{}{section}{}", &DEFAULT[..start], &DEFAULT[end..]);
        Config::parse(&text).unwrap().limits.admission
    };
    // The file says what is built in.
    assert_eq!(Config::parse(DEFAULT).unwrap().limits.admission, AdmissionLimits::default());
    assert_eq!(with(""), AdmissionLimits::default());
    let limits = with("[admission]\nwindow = 0\nsojourn_us = 7\n");
    assert_eq!((limits.window, limits.sojourn_nanos), (u32::MAX, 7_000));
}

#[test]
fn decimals_are_exact() {
    assert_eq!(decimal_e4("0.01"), Some(100));
    assert_eq!(decimal_e4("199999.99"), Some(1_999_999_900));
    assert_eq!(decimal_e4("5"), Some(50_000));
    for wrong in ["", ".5", "1.00001", "-1", "1e3", "1,5", " 1"] {
        assert_eq!(decimal_e4(wrong), None, "{wrong}");
    }
}
