use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use super::*;
use crate::engine::History;
use crate::engine::record::Record;
use crate::estimate::Column;
use crate::estimate::calibrate::Uncertainty;
use crate::market::{Interval, Liquidation, PriceKind, Sampled, Side, Venue};
use crate::store::{Identity, OpenError, Reader, StorePath, open_writer, schema};

/// 2026-11-22T10:00Z
const T0: i64 = 1_795_341_600_000;

fn identity() -> Identity {
    Identity { asset: "BTC".parse().unwrap(), simulated: false, bin_bp: 5.0 }
}

fn at(dir: &tempfile::TempDir) -> StorePath {
    StorePath::new(dir.path(), "BTC".parse().unwrap())
}

fn open(at: &StorePath) -> (Writer, Vec<String>) {
    let opened = open_writer(at, &identity(), StoreConfig::default()).unwrap();
    (opened.writer, opened.notes)
}

fn venue() -> Venue {
    "okx".parse().unwrap()
}

fn column(start: i64, interval: Interval, mark: f64) -> Arc<Column> {
    Arc::new(Column {
        start,
        interval,
        mark,
        mark_bin: 0,
        oi: 0.1 + 0.2,
        coverage: 1.0 / 3.0,
        uncertainty: Uncertainty::default(),
        levels: Default::default(),
        factors: Default::default(),
        swept: Default::default(),
        printed: Default::default(),
        bar: None,
        gap: false,
        reconstructed: true,
    })
}

fn columns(columns: &[Arc<Column>]) -> Record {
    Record::Columns { venue: venue(), columns: columns.to_vec() }
}

fn liquidation(ts: i64, qty: &str) -> Record {
    let liquidation = Liquidation {
        position: Side::Short,
        price: "65000.1".parse().unwrap(),
        qty: qty.parse().unwrap(),
        price_kind: PriceKind::Bankruptcy,
        sampled: Sampled::Latest,
    };
    Record::Liquidation { venue: venue(), ts, liquidation }
}

fn oi(ts: i64, qty: &str) -> Record {
    Record::OpenInterest { venue: venue(), ts, qty: qty.parse().unwrap() }
}

fn write(writer: &Writer, records: impl IntoIterator<Item = Record>) {
    records.into_iter().for_each(|record| writer.keep(record));
}

#[test]
fn what_was_written_is_read_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, notes) = open(&at);
    assert!(notes.is_empty());
    let told = [column(T0, Interval::M1, 1.0), column(T0 - 240_000, Interval::M5, 2.0)];
    let funding =
        Record::Funding { venue: venue(), ts: T0 + 5, rate: "-0.0001".parse().unwrap(), hours: Some(8) };
    write(&writer, [columns(&told), liquidation(T0 + 7, "0.5"), oi(T0, "52664.642"), funding]);
    let status = writer.close();
    let w = status.written;
    assert_eq!((w.columns, w.liquidations, w.open_interest, w.funding, w.repeats), (2, 1, 1, 1, 0));
    assert_eq!((status.dropped, status.trouble), (0, None));

    let reader = Reader::open(&at).unwrap().unwrap();
    assert_eq!(reader.identity(), &identity());
    assert_eq!(reader.venues().unwrap(), [venue()]);
    let all = |interval| reader.columns(venue(), interval, i64::MIN, i64::MAX).unwrap();
    assert_eq!(all(Interval::M1), told[..1]);
    assert_eq!(all(Interval::M5), told[1..]);
    let l = reader.liquidations(0, i64::MAX).unwrap();
    assert_eq!((l.len(), l[0].ts, l[0].venue, l[0].nth), (1, T0 + 7, venue(), 0));
    let Record::Liquidation { liquidation, .. } = liquidation(0, "0.5") else { unreachable!() };
    assert_eq!(l[0].liquidation, liquidation);
    assert_eq!(reader.open_interest(T0, T0 + 1).unwrap()[0].qty.to_string(), "52664.642");
    let funding = reader.funding(0, i64::MAX).unwrap()[0];
    assert_eq!((funding.rate.to_string().as_str(), funding.hours), ("-0.0001", Some(8)));
    assert_eq!(reader.newest().unwrap(), Some(T0 + 60_000));
}

#[test]
fn files_are_for_the_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    write(&writer, [oi(T0, "1")]);
    // The log is there while somebody writes.
    for entry in std::fs::read_dir(at.folder()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    assert_eq!(std::fs::metadata(at.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    drop(writer);
}

#[test]
fn what_is_there_stays_and_what_differs_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let first = column(T0, Interval::M1, 1.0);
    let (writer, _) = open(&at);
    write(
        &writer,
        [columns(std::slice::from_ref(&first)), liquidation(T0, "1"), liquidation(T0, "1"), oi(T0, "5")],
    );
    let w = writer.close().written;
    assert_eq!((w.columns, w.liquidations, w.repeats), (1, 2, 0), "two that are alike are two");
    // The next run is told the same again, and one thing otherwise; its clock went back.
    let (writer, _) = open(&at);
    let other = column(T0, Interval::M1, 1.5);
    write(
        &writer,
        [
            columns(std::slice::from_ref(&first)),
            columns(&[other]),
            liquidation(T0, "1"),
            liquidation(T0, "1"),
            oi(T0 + 4_999, "6"),
        ],
    );
    let w = writer.close().written;
    assert_eq!((w.columns, w.liquidations, w.open_interest), (0, 0, 0));
    assert_eq!((w.repeats, w.conflicts), (3, 1));
    let reader = Reader::open(&at).unwrap().unwrap();
    assert_eq!(reader.columns(venue(), Interval::M1, 0, i64::MAX).unwrap(), [first]);
    assert_eq!(reader.liquidations(0, i64::MAX).unwrap().len(), 2);
    assert_eq!(reader.open_interest(0, i64::MAX).unwrap()[0].qty.to_string(), "5");
}

#[test]
fn there_is_one_writer_and_the_second_is_told_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    let error = open_writer(&at, &identity(), StoreConfig::default()).unwrap_err();
    assert!(
        matches!(&error, OpenError::Held { owner, .. } if owner.0.contains(&std::process::id().to_string()))
    );
    assert!(crate::store::vacuum(&at).is_err());
    assert!(Reader::open(&at).unwrap().is_some(), "others read");
    drop(writer);
    open(&at);
}

#[test]
fn a_reader_sees_what_is_committed_while_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    let reader = Reader::open(&at).unwrap().unwrap();
    let version = reader.data_version().unwrap();
    write(&writer, [liquidation(T0, "1")]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while reader.data_version().unwrap() == version {
        assert!(Instant::now() < deadline, "nothing was committed");
        std::thread::yield_now();
    }
    // The first commit may be that of the clean-up.
    while reader.liquidations(0, i64::MAX).unwrap().is_empty() {
        assert!(Instant::now() < deadline, "nothing was committed");
        std::thread::yield_now();
    }
}

#[test]
fn a_damaged_file_is_set_aside_whole_and_a_new_one_begins() {
    for damage in
        [&b"no database at all, but long enough to have a header of sixteen bytes"[..], &[0x55; 8_192]]
    {
        let dir = tempfile::tempdir().unwrap();
        let at = at(&dir);
        std::fs::create_dir_all(at.folder()).unwrap();
        std::fs::write(at.database(), damage).unwrap();
        let (writer, notes) = open(&at);
        write(&writer, [oi(T0, "1")]);
        drop(writer);
        assert!(notes.len() == 1 && notes[0].contains("set aside as"), "{notes:?}");
        let aside: Vec<_> = std::fs::read_dir(at.folder())
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().contains("corrupt-2"))
            .collect();
        assert_eq!(aside.len(), 1);
        assert_eq!(std::fs::read(&aside[0]).unwrap(), damage);
        assert_eq!(StorePath::all(dir.path()), [at], "what was set aside is no asset's");
    }
}

#[test]
fn pages_that_were_overwritten_are_found_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    write(&writer, (0..2_000).map(|i| liquidation(T0 + i, "0.001")));
    writer.close();
    let mut bytes = std::fs::read(at.database()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9_000].fill(0xaa);
    std::fs::write(at.database(), &bytes).unwrap();
    let (writer, notes) = open(&at);
    assert!(notes.len() == 1 && notes[0].contains("is damaged"), "{notes:?}");
    drop(writer);
}

#[test]
fn a_body_whose_bits_flipped_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    write(
        &writer,
        [columns(&[column(T0, Interval::M1, 1.0)]), columns(&[column(T0 + 60_000, Interval::M1, 2.0)])],
    );
    writer.close();
    let conn = Connection::open(at.database()).unwrap();
    conn.execute("UPDATE columns SET digest = digest + 1 WHERE start = ?1", [T0]).unwrap();
    drop(conn);
    let reader = Reader::open(&at).unwrap().unwrap();
    let read = reader.columns(venue(), Interval::M1, 0, i64::MAX).unwrap();
    assert_eq!((read.len(), read[0].mark, reader.damaged()), (1, 2.0, 1));
}

#[test]
fn a_file_of_a_later_version_and_one_of_another_program_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    drop(open(&at));
    let conn = Connection::open(at.database()).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let before = std::fs::read(at.database()).unwrap();
    let error = open_writer(&at, &identity(), StoreConfig::default()).unwrap_err();
    assert!(error.to_string().contains("later version (its version 99"), "{error}");
    assert!(matches!(Reader::open(&at), Err(OpenError::Newer { found: 99, .. })));
    assert_eq!(std::fs::read(at.database()).unwrap(), before);

    std::fs::remove_file(at.database()).unwrap();
    let conn = Connection::open(at.database()).unwrap();
    conn.execute_batch("CREATE TABLE diary (day TEXT)").unwrap();
    drop(conn);
    let before = std::fs::read(at.database()).unwrap();
    assert!(matches!(open_writer(&at, &identity(), StoreConfig::default()), Err(OpenError::Foreign { .. })));
    assert_eq!(std::fs::read(at.database()).unwrap(), before);
}

#[test]
fn histories_of_other_bins_or_of_a_simulator_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    drop(open(&at));
    for other in [Identity { bin_bp: 10.0, ..identity() }, Identity { simulated: true, ..identity() }] {
        let error = open_writer(&at, &other, StoreConfig::default()).unwrap_err();
        assert!(error.to_string().contains("BTC in bins of 5 bp, not of"), "{error}");
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("history"), "in the way").unwrap();
    let error = open_writer(&at(&dir), &identity(), StoreConfig::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot open the history in"), "{error}");
}

#[test]
fn a_full_disk_holds_what_comes_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    drop(open(&at));
    let lock = Lock::take(&at.lock(), "test").unwrap();
    let conn = Connection::open_with_flags(at.database(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    conn.pragma_update(None, "max_page_count", pages + 2).unwrap();
    let mut worker = Worker {
        conn,
        path: at.database(),
        config: StoreConfig::default(),
        status: Arc::default(),
        numbering: Numbering::default(),
        held: Vec::new(),
        lookout: Lookout::new(&at),
        live: None,
        told: Told::default(),
        tried: Instant::now(),
        looked: Instant::now(),
        prune_at: Instant::now() + FIRST_PRUNE,
        unpruned: 0,
        _lock: lock,
    };
    for i in 0..3_000 {
        worker.hold(liquidation(T0 + i, "0.001"));
    }
    worker.write();
    let status = worker.status(|s| s.clone());
    assert_eq!(status.trouble.as_deref(), Some("the disk is full"));
    assert_eq!((status.held, status.dropped, status.written), (3_000, 0, Written::default()));
    // More than can be held is given up, and counted.
    for i in 3_000..HELD as i64 + 5 {
        worker.hold(liquidation(T0 + i, "0.001"));
    }
    assert_eq!(worker.status(|s| (s.held, s.dropped)), (HELD, 5));
    worker.conn.pragma_update(None, "max_page_count", 1 << 30).unwrap();
    worker.write();
    let status = worker.status(|s| s.clone());
    assert_eq!((status.trouble, status.held, status.written.liquidations), (None, 0, HELD as u64));
    drop(worker);
    assert_eq!(Reader::open(&at).unwrap().unwrap().liquidations(0, i64::MAX).unwrap().len(), HELD);
}

#[test]
fn old_rows_go_by_their_age_and_a_clock_ahead_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    let day = 86_400_000;
    for (interval, count) in [(Interval::M1, 600), (Interval::M5, 10), (Interval::H1, 10), (Interval::D1, 10)]
    {
        let of = |i| columns(&[column(interval.floor(T0) + i * interval.ms(), interval, 1.0)]);
        write(&writer, (0..count).map(of));
    }
    write(&writer, [oi(T0 - 31 * day, "1"), oi(T0, "1"), liquidation(T0 - 1_000 * day, "1")]);
    writer.close();
    let mut conn = Connection::open(at.database()).unwrap();
    let count = |conn: &Connection, rows: &str| -> i64 {
        conn.query_row(&format!("SELECT count(*) FROM {rows}"), [], |row| row.get(0)).unwrap()
    };
    // Ten hours of minutes: the newest ends at T0 + 10 h, and what ended more than six hours before goes. A clock a year ahead.
    retention::prune(&mut conn, &StoreConfig::default(), T0 + 400 * day).unwrap();
    assert_eq!(count(&conn, "columns WHERE interval_ms = 60000"), 361);
    assert_eq!(count(&conn, "columns"), 361 + 30);
    assert_eq!(count(&conn, "open_interest"), 1);
    assert_eq!(count(&conn, "liquidations"), 1, "kept for ever");
    // A clock that lags takes nothing more.
    assert_eq!(retention::prune(&mut conn, &StoreConfig::default(), T0 - day).unwrap(), 0);
}

#[test]
fn history_that_is_older_than_it_is_kept_goes_while_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    // Fifty hours, of which six are kept; what goes waits for two thousand that came.
    let begin = T0 - 400 * 86_400_000;
    write(&writer, (0..3_000).map(|i| columns(&[column(begin + i * 60_000, Interval::M1, 1.0)])));
    assert_eq!(writer.close().written.columns, 3_000);
    let conn = Connection::open(at.database()).unwrap();
    let first: i64 = conn.query_row("SELECT min(start) FROM columns", [], |row| row.get(0)).unwrap();
    let gone = (first - begin) / 60_000;
    assert!((1_639..=2_639).contains(&gone), "{gone}");
}

#[test]
fn what_is_too_much_goes_from_the_finest_and_liquidations_never() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    write(&writer, (0..300).map(|i| columns(&[column(T0 + i * 60_000, Interval::M1, 1.0)])));
    write(&writer, (0..20_000).map(|i| liquidation(T0 + i, "0.001")));
    writer.close();
    let mut conn = Connection::open(at.database()).unwrap();
    let used = retention::used(&conn).unwrap();
    let config = StoreConfig { max_mb: 0, ..StoreConfig::default() };
    retention::prune(&mut conn, &config, T0 + 3_600_000).unwrap();
    let count = |rows: &str| -> i64 {
        conn.query_row(&format!("SELECT count(*) FROM {rows}"), [], |row| row.get(0)).unwrap()
    };
    assert!(retention::used(&conn).unwrap() < used);
    assert_eq!(count("liquidations"), 20_000);
    assert_eq!(count("columns"), 0);
}

#[test]
fn older_versions_are_brought_forward_with_a_copy_of_what_was() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    // As version 1 left it: without the live table.
    std::fs::create_dir_all(at.folder()).unwrap();
    let mut conn = Connection::open(at.database()).unwrap();
    schema::migrate(&mut conn, 0, &schema::STEPS[..1], &at.database()).unwrap();
    schema::sign(&conn, &identity()).unwrap();
    conn.execute_batch(
        "INSERT INTO venues (name) VALUES ('binance');
        INSERT INTO open_interest (slot, venue, ts, qty) VALUES (1, 1, 5000, '7')",
    )
    .unwrap();
    let version =
        |conn: &Connection| -> i64 { conn.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap() };
    assert_eq!(version(&conn), 1);
    drop(conn);
    assert!(Reader::open(&at).unwrap().is_none(), "nobody reads it before it is brought forward");
    let (writer, notes) = open(&at);
    assert!(notes.len() == 1 && notes[0].contains("brought to version 2"), "{notes:?}");
    writer.close();
    assert_eq!(Reader::open(&at).unwrap().unwrap().open_interest(0, 9_000).unwrap().len(), 1);
    let mut conn = Connection::open(at.database()).unwrap();
    assert_eq!(version(&conn), 2);
    let copies: Vec<_> = std::fs::read_dir(at.folder())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_string_lossy().contains("BTC.v1-2"))
        .collect();
    let copy = Connection::open(&copies[0]).unwrap();
    assert_eq!((copies.len(), version(&copy)), (1, 1));
    let kept: i64 = copy.query_row("SELECT count(*) FROM open_interest", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1);
    // A step that fails leaves what was.
    let broken = [schema::STEPS[0], schema::STEPS[1], "CREATE TABLE live (venue INTEGER PRIMARY KEY) STRICT"];
    assert!(schema::migrate(&mut conn, 2, &broken, &at.database()).is_err());
    assert_eq!(version(&conn), 2);
}

#[test]
fn the_ladder_of_a_screen_is_read_back_as_it_was_kept_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    write(&writer, (0..500).map(|i| columns(&[column(T0 + i * 60_000, Interval::M1, i as f64)])));
    writer.close();
    let reader = Reader::open(&at).unwrap().unwrap();
    let stored = reader.stored(Some(i64::MIN), |_| Some(T0 + 498 * 60_000)).unwrap();
    assert_eq!(stored[0].since.len(), 2);
    let History { ladder } = &stored[0].history;
    assert_eq!(ladder[0].len(), 361);
    assert_eq!(ladder[0].last().unwrap().mark, 499.0);
}

#[test]
fn without_a_state_the_running_day_is_covered_by_the_coarsest_columns() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    // From 10:00 on: an hour, then five minutes, then two; as minutes all of it.
    write(&writer, (0..67).map(|i| columns(&[column(T0 + i * 60_000, Interval::M1, 1.0)])));
    write(&writer, (0..13).map(|i| columns(&[column(T0 + i * 300_000, Interval::M5, 1.0)])));
    write(&writer, [columns(&[column(T0, Interval::H1, 1.0)])]);
    writer.close();
    let stored = Reader::open(&at).unwrap().unwrap().stored(None, |_| None).unwrap();
    let told: Vec<_> = stored[0].since.iter().map(|c| (c.interval, (c.start - T0) / 60_000)).collect();
    assert_eq!(told, [(Interval::H1, 0), (Interval::M5, 60), (Interval::M1, 65), (Interval::M1, 66)]);
    assert!(stored[0].history.ladder.iter().all(Vec::is_empty), "nobody looks");
}

#[test]
fn what_is_on_screen_is_read_first_and_the_rest_goes_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = at(&dir);
    let (writer, _) = open(&at);
    let hours: Vec<_> = (-30..0).map(|h| column(T0 + h * 3_600_000, Interval::H1, 1.0)).collect();
    write(&writer, [columns(&hours), columns(&[column(T0, Interval::M1, 2.0)])]);
    writer.close();
    let reader = Reader::open(&at).unwrap().unwrap();
    assert_eq!(reader.closed_until().unwrap(), Some(T0 + 60_000));
    let cut = T0 - 10 * 3_600_000;
    let mut history = reader.stored(Some(cut), |_| Some(i64::MAX)).unwrap().remove(0).history;
    assert_eq!((history.ladder[0].len(), history.ladder[2].len()), (1, 10));
    let (name, older) = reader.older(cut).unwrap().remove(0);
    assert_eq!((name, older.ladder[0].len(), older.ladder[2].len()), (venue(), 0, 20));
    history.prepend(older.clone());
    let whole = reader.stored(Some(i64::MIN), |_| None).unwrap().remove(0).history;
    assert_eq!(history.ladder, whole.ladder);
    // Once more changes nothing.
    history.prepend(older);
    assert_eq!(history.ladder, whole.ladder);
}
