//! How the part of the picture that is on screen came about: heard live, kept by an earlier run, told later by the venue, or not at all.

use crate::engine::snapshot::{Course, LinkState};
use crate::engine::{Snapshot, VenueView};
use crate::market::Venue;

use super::App;
use super::pixels::Selection;
use super::viewport::Geometry;

/// How long which part of a stretch is, ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Its streams were heard in this run.
    pub live: i64,
    /// Closed in an earlier run and taken from the store.
    pub kept: i64,
    /// Made of the history that the venue told later.
    pub told: i64,
    /// Nobody told: columns that are hatched, or none at all.
    pub missing: i64,
}

impl Parts {
    /// Of all.
    pub fn whole(&self) -> i64 {
        self.live + self.kept + self.told + self.missing
    }

    fn add(&mut self, other: &Self) {
        self.live += other.live;
        self.kept += other.kept;
        self.told += other.told;
        self.missing += other.missing;
    }

    /// Counts a stretch that somebody told.
    fn tell(&mut self, course: &Course, from: i64, to: i64) {
        let kept_until = course.restored.unwrap_or(i64::MIN).clamp(from, to);
        let live_from = course.live.unwrap_or(i64::MAX).clamp(kept_until, to);
        self.kept += kept_until - from;
        self.told += live_from - kept_until;
        self.live += to - live_from;
    }
}

/// How the picture of each venue came about, where that is known: of recordings it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Courses(Vec<(Venue, Parts)>);

impl Courses {
    /// Of the venues that are drawn, in the stretch of time that is.
    pub fn new(selection: &Selection, snapshot: &Snapshot, geometry: &Geometry) -> Self {
        let (from, until) = (geometry.start, snapshot.now.min(geometry.time(geometry.columns)));
        let is_recorded =
            |view: &VenueView| matches!(view.status.state, LinkState::Recorded | LinkState::Ended);
        let drawn = selection.venues(snapshot).filter(|v| !is_recorded(v));
        let known = drawn.filter(|v| v.course.first.or(v.course.restored).is_some());
        Self(known.map(|view| (view.venue, parts(view, from, until))).collect())
    }

    /// All of them together.
    pub fn all(&self) -> Parts {
        let mut all = Parts::default();
        self.0.iter().for_each(|(_, parts)| all.add(parts));
        all
    }

    /// Those of one venue.
    pub fn of(&self, venue: Venue) -> Option<Parts> {
        self.0.iter().find(|(v, _)| *v == venue).map(|(_, parts)| *parts)
    }
}

fn parts(view: &VenueView, from: i64, until: i64) -> Parts {
    let mut parts = Parts::default();
    let mut at = from;
    for column in view.history.since(from).chain(&view.live) {
        let (start, end) = (column.start.clamp(at, until.max(at)), column.end().clamp(at, until.max(at)));
        parts.missing += start - at;
        if column.gap {
            parts.missing += end - start;
        } else {
            parts.tell(&view.course, start, end);
        }
        at = end;
    }
    parts.missing += (until - at).max(0);
    parts
}

impl App {
    /// How the part of the picture that is on screen came about.
    pub fn courses(&self) -> &Courses {
        &self.courses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(restored: Option<i64>, live: Option<i64>) -> Course {
        Course { first: Some(0), restored, live, overlaps: 0 }
    }

    #[test]
    fn a_stretch_is_cut_where_the_store_ends_and_where_listening_began() {
        let told = |course: Course| {
            let mut parts = Parts::default();
            parts.tell(&course, 100, 200);
            (parts.kept, parts.told, parts.live)
        };
        assert_eq!(told(course(Some(130), Some(180))), (30, 50, 20));
        assert_eq!(told(course(None, Some(180))), (0, 80, 20));
        assert_eq!(told(course(Some(500), None)), (100, 0, 0));
        assert_eq!(told(course(Some(50), Some(60))), (0, 0, 100));
        assert_eq!(told(course(None, None)), (0, 100, 0));
    }
}
