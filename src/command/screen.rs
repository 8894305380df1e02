//! The loop between terminal, engine and app: messages in, frames out.

use std::future::poll_fn;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::app::settings::{Depth, Images};
use crate::app::{App, Effect, Message, Place, Settings};
use crate::engine::{Command, Snapshot};
use crate::term::caps::{Caps, Colours};
use crate::term::guard::{self, Guard};
use crate::term::query::{self, Answers};
use crate::term::{self, Screen, clipboard};
use crate::ui::{self, Medium};

use super::image::Under;
use super::pictures::Pictures;
use super::state::StateFile;

/// Ages count in seconds; twice as often is soon enough.
const TICK: Duration = Duration::from_millis(500);

/// Pictures of the market that is shown, and of others that run beside it, where there are any.
pub type Pictured = (watch::Receiver<Arc<Snapshot>>, Option<watch::Receiver<Vec<Arc<Snapshot>>>>);

/// Runs the screen until the user quits, the terminal is gone or a signal ends it; blocks, on a thread of its own.
///
/// What the user switches is kept in the state file, where there is one. With `quit_when_ended` it also ends when no more snapshots can come.
pub fn run(
    mut settings: Settings,
    caps: Caps,
    pictures: Pictured,
    commands: mpsc::Sender<Command>,
    state: Option<StateFile>,
    quit_when_ended: bool,
) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() {
        bail!(
            "the screen needs a terminal, and standard output is not one; `levels` and `tap` write to pipes"
        );
    }
    settings.depth = depth(&caps);
    let thread = std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            Session::open(settings, &caps, pictures, commands, state, quit_when_ended)?.run().await
        })
    })?;
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// What came next; never, where nothing can come. `None` once nothing can come any more.
async fn newest<T: Clone>(receiver: &mut Option<watch::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(receiver) => receiver.changed().await.is_ok().then(|| receiver.borrow_and_update().clone()),
        None => std::future::pending().await,
    }
}

/// Never, without a time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The colours a terminal has, in the words of the app.
pub fn depth(caps: &Caps) -> Depth {
    match caps.colours {
        Colours::None => Depth::None,
        Colours::Named => Depth::Named,
        Colours::Indexed => Depth::Indexed,
        Colours::True => Depth::True,
    }
}

/// Signals the screen answers.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    stop: Signal,
    cont: Signal,
}

struct Session {
    app: App,
    // Before the guard: fields are dropped in order, and the terminal is given back last.
    screen: Screen,
    guard: Guard,
    signals: Signals,
    events: EventStream,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    others: Option<watch::Receiver<Vec<Arc<Snapshot>>>>,
    /// Whether snapshots can still come.
    open: bool,
    commands: mpsc::Sender<Command>,
    /// Commands the engine has not taken yet: the newest of each kind.
    pending: Vec<Command>,
    state: Option<StateFile>,
    pictures: Pictures,
    /// The image under the text, where there is one.
    under: Option<Under>,
    quit_when_ended: bool,
    frame: Duration,
    drawn: Option<Instant>,
    dirty: bool,
    /// The map as it was drawn last.
    place: Option<Place>,
    /// What the terminal is asked after the first frame, if it may have more colours than its name tells.
    question: Vec<u8>,
    answers: Answers,
}

impl Session {
    fn open(
        settings: Settings,
        caps: &Caps,
        (mut snapshots, others): Pictured,
        commands: mpsc::Sender<Command>,
        state: Option<StateFile>,
        quit_when_ended: bool,
    ) -> anyhow::Result<Self> {
        let signals = Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            // tokio has no names for these two.
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            cont: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        };
        let under = (settings.images == Images::Yes).then(Under::default);
        let question = query::question(caps, settings.images == Images::Asked);
        let pictures = Pictures::new(settings.snapshot_dir.clone());
        let pending = settings.preset.map(|preset| Command::Preset(Some(preset)));
        let first = Arc::clone(&snapshots.borrow_and_update());
        let frame = Duration::from_secs(1) / settings.fps.clamp(1, 60);
        let mut guard = Guard::take().context("cannot take the terminal")?;
        guard.listen_to_mouse(settings.mouse).context("cannot write to the terminal")?;
        Ok(Self {
            app: App::new(settings, first),
            screen: term::open(caps)?,
            guard,
            signals,
            events: EventStream::new(),
            snapshots,
            others,
            open: true,
            commands,
            pending: pending.into_iter().collect(),
            state,
            pictures,
            under,
            quit_when_ended,
            frame,
            drawn: None,
            dirty: true,
            place: None,
            question,
            answers: Answers::default(),
        })
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let due = self.drawn.map_or_else(Instant::now, |at| at + self.frame);
            if self.dirty && !self.guard.suspended() && due <= Instant::now() {
                self.draw()?;
                self.ask()?;
            }
            let held = self.answers.due();
            let owed = self.dirty && !self.guard.suspended();
            let alive = tokio::select! {
                biased;
                _ = self.signals.interrupt.recv() => false,
                _ = self.signals.terminate.recv() => false,
                _ = self.signals.hangup.recv() => false,
                _ = self.signals.stop.recv() => self.handle(Effect::Suspend)?,
                _ = self.signals.cont.recv() => self.resume()?,
                event = self.events.next() => match event {
                    Some(event) => self.input(event.context("the terminal is gone")?).await?,
                    None => false,
                },
                permit = self.commands.clone().reserve_owned(), if !self.pending.is_empty() => {
                    let command = self.pending.remove(0);
                    // An error means that nobody takes commands: the end is near.
                    if let Ok(permit) = permit {
                        permit.send(command);
                    }
                    true
                }
                changed = self.snapshots.changed(), if self.open => {
                    self.open = changed.is_ok();
                    let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
                    let effect = self.app.update(Message::Snapshot(snapshot));
                    self.handle(effect)? && (self.open || !self.quit_when_ended)
                }
                others = newest(&mut self.others) => {
                    let effect = if let Some(others) = others {
                        self.app.update(Message::Others(others))
                    } else {
                        self.others = None;
                        Effect::None
                    };
                    self.handle(effect)?
                }
                note = self.pictures.written() => {
                    let effect = self.app.update(Message::Note(note));
                    self.handle(effect)?
                }
                now = tick.tick() => {
                    if self.guard.lost() {
                        bail!("another part of the program failed");
                    }
                    let effect = self.app.update(Message::Tick(now.into_std()));
                    guard::alive() && self.handle(effect)?
                }
                () = tokio::time::sleep_until(due.into()), if owed => true,
                () = sleep_until(held), if held.is_some() => {
                    let events = self.answers.overdue();
                    self.answer(events)?
                }
            };
            if !alive {
                return Ok(());
            }
        }
    }

    /// One event and all that came with it, then a frame at once.
    async fn input(&mut self, first: Event) -> anyhow::Result<bool> {
        let mut next = Some(first);
        while let Some(event) = next {
            let events = self.answers.take(event, Instant::now());
            if !self.answer(events)? {
                return Ok(false);
            }
            // Asked for by this task: crossterm's thread wakes whoever asked last, and nobody else, when the next key comes.
            next = poll_fn(|cx| match self.events.poll_next_unpin(cx) {
                Poll::Ready(event) => Poll::Ready(event),
                Poll::Pending => Poll::Ready(None),
            })
            .await
            .transpose()
            .context("the terminal is gone")?;
        }
        if let Some(state) = &mut self.state
            && let Err(error) = state.keep(self.app.settings.kept)
        {
            tracing::warn!("the panels will not be remembered: {error:#}");
            "the panels will not be remembered: the log has the reason"
                .clone_into(&mut self.app.settings.note);
            self.dirty = true;
        }
        Ok(true)
    }

    /// Hands on what is no answer of the terminal to a question; if one said that it has more colours, a light background, or that it
    /// draws images, that is what is drawn for.
    fn answer(&mut self, events: Vec<Event>) -> anyhow::Result<bool> {
        let told = self.answers.told();
        if told.has_true_colour && self.app.settings.depth == Depth::Indexed {
            tracing::info!("the terminal answered that it has true colour");
            self.app.settings.depth = Depth::True;
            self.dirty = true;
        }
        if let Some(light) = told.is_light.filter(|light| *light != self.app.settings.light) {
            tracing::info!("the terminal answered what its background is: light = {light}");
            self.app.settings.light = light;
            self.dirty = true;
        }
        if told.draws_images && self.app.settings.images == Images::Asked {
            tracing::info!("the terminal answered that it draws images");
            self.app.settings.images = Images::Yes;
            if self.app.settings.note == super::start::UNANSWERED {
                self.app.settings.note.clear();
            }
            self.under = Some(Under::default());
            self.dirty = true;
        }
        for event in events {
            let message = match event {
                Event::Key(key) => Message::Key(key),
                Event::Paste(text) => Message::Paste(text),
                Event::Mouse(mouse) => Message::Mouse(mouse),
                Event::Resize(width, height) => Message::Resize(width, height),
                _ => continue,
            };
            let urgent = !matches!(message, Message::Resize(..));
            let effect = self.app.update(message);
            let redraws = effect != Effect::None;
            if !self.handle(effect)? {
                return Ok(false);
            }
            if urgent && redraws {
                self.drawn = None;
            }
        }
        Ok(true)
    }

    /// Asks the terminal what it can show, once, when something is drawn already.
    fn ask(&mut self) -> anyhow::Result<()> {
        let question = std::mem::take(&mut self.question);
        if !question.is_empty() {
            self.answers.expect(Instant::now());
            self.screen.say(&question).context("cannot write to the terminal")?;
        }
        Ok(())
    }

    /// Does what the app asks for; says whether to go on.
    fn handle(&mut self, effect: Effect) -> anyhow::Result<bool> {
        match effect {
            Effect::None => {}
            Effect::Redraw => self.dirty = true,
            Effect::Command(command) => {
                // Every step of a replay counts; of anything else the newest.
                if !matches!(command, Command::Replay(_)) {
                    let kind = std::mem::discriminant(&command);
                    self.pending.retain(|waiting| std::mem::discriminant(waiting) != kind);
                }
                self.pending.push(command);
                self.dirty = true;
            }
            Effect::Mouse(on) => {
                self.guard.listen_to_mouse(on).context("cannot write to the terminal")?;
                self.dirty = true;
            }
            Effect::WriteSnapshot => {
                if let Err(note) = self.pictures.write(&self.app) {
                    self.app.update(Message::Note(note));
                }
                self.dirty = true;
            }
            Effect::Copy(text) => {
                let mut out = std::io::stdout();
                let bytes = clipboard::copy(&text, clipboard::in_screen());
                out.write_all(&bytes).and_then(|()| out.flush()).context("cannot write to the terminal")?;
                self.dirty = true;
            }
            Effect::Suspend => {
                self.guard.suspend()?;
            }
            Effect::Quit => return Ok(false),
        }
        Ok(true)
    }

    /// The job was continued, after our own stop or someone else's: the screen belongs to whoever came between.
    fn resume(&mut self) -> anyhow::Result<bool> {
        self.guard.resume().context("cannot take the terminal again")?;
        self.screen.resize(term::size()?);
        self.under = self.under.take().map(|_| Under::default());
        self.dirty = true;
        self.drawn = None;
        Ok(true)
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let size = term::size()?;
        if self.screen.size() != size {
            self.screen.resize(size);
        }
        if self.app.size() != (size.width, size.height) {
            self.app.update(Message::Resize(size.width, size.height));
        }
        let app = &self.app;
        let mut medium = Medium::Terminal;
        if let Some(under) = &mut self.under {
            // Where the size changed the terminal is cleared, and images go with the text.
            let (bytes, is_shown) = under.follow(app)?;
            self.screen.put_before(&bytes);
            medium = if is_shown { Medium::OverImage } else { medium };
        }
        let before = std::mem::replace(&mut self.place, app.place());
        // An image does not move with the rows of the text above it.
        let shifts = app.settings.shifts && medium == Medium::Terminal;
        if let (true, Some(place), Some(before)) = (shifts, self.place, before)
            && let Some((room, columns)) = place.moved_since(&before)
        {
            self.screen.shift(room, columns);
        }
        self.screen.draw(|buf| ui::draw(app, buf, medium)).context("cannot write to the terminal")?;
        self.drawn = Some(Instant::now());
        self.dirty = false;
        Ok(())
    }
}
