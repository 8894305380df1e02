//! What a frame costs in time: a new market, a live update, and a redraw of the same picture, at 200×60.

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/all/fixture.rs"]
mod fixture;

use std::hint::black_box;
use std::io;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use meltline::app::{App, Message, Settings};
use meltline::term::screen::Screen;
use meltline::ui::{self, Medium};

const SIZE: (u16, u16) = (200, 60);

fn screen() -> Screen<io::Sink> {
    Screen::new(io::sink(), SIZE.into())
}

fn draw(screen: &mut Screen<io::Sink>, app: &App) {
    black_box(screen.draw(|buf| ui::draw(app, buf, Medium::Terminal)).is_ok());
}

fn frames(c: &mut Criterion) {
    let mut market = fixture::Market::new(7, 1_500);
    let first = market.snapshot();
    market.trade(0.02);
    let second = market.snapshot();
    let open = || {
        let mut app = App::new(Settings::default(), Arc::clone(&first));
        app.update(Message::Resize(SIZE.0, SIZE.1));
        app
    };

    c.bench_function("frame/a day from nothing", |b| {
        b.iter_batched(screen, |mut t| (draw(&mut t, &open()), t), BatchSize::SmallInput);
    });
    // Cleared and drawn again: the view is summed already, the terminal is blank.
    c.bench_function("frame/full repaint", |b| {
        let (app, mut t) = (open(), screen());
        b.iter(|| {
            t.clear();
            draw(&mut t, &app);
        });
    });
    c.bench_function("frame/live update", |b| {
        let (mut app, mut t) = (open(), screen());
        let mut turn = [&first, &second].into_iter().cycle();
        b.iter(|| {
            if let Some(snapshot) = turn.next() {
                app.update(Message::Snapshot(Arc::clone(snapshot)));
            }
            draw(&mut t, &app);
        });
    });
    c.bench_function("frame/unchanged", |b| {
        let (app, mut t) = (open(), screen());
        b.iter(|| draw(&mut t, &app));
    });
}

criterion_group!(benches, frames);
criterion_main!(benches);
