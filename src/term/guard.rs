//! Taking the terminal, and giving it back as it was on every way out.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use rustix::process::{Signal, kill_current_process_group};

/// Whether the terminal is ours now. There is one terminal, and the panic hook must know without a handle.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Holds the terminal in raw mode on the alternate screen; gives it back when dropped.
#[derive(Debug)]
pub struct Guard {
    suspended: bool,
    mouse: bool,
}

/// Presses, drags and the wheel, told in decimal. Crossterm's own command also asks for every motion, which is of no use here and
/// costs bytes.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l";

impl Guard {
    /// Takes the terminal, and sees to it that a panic anywhere gives it back before it is reported.
    pub fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                leave();
                previous(info);
            }));
        });
        // First the guard: a failure half way must be undone as well.
        let guard = Self { suspended: false, mouse: false };
        enter()?;
        Ok(guard)
    }

    /// Listens to the mouse, or no longer: then the terminal's own selection works again.
    pub fn listen_to_mouse(&mut self, on: bool) -> io::Result<()> {
        if self.mouse != on {
            self.mouse = on;
            write_mouse(on)?;
        }
        Ok(())
    }

    /// Whether the terminal was given back for the time being.
    pub fn suspended(&self) -> bool {
        self.suspended
    }

    /// Whether a panic on another thread gave the terminal back under our feet.
    pub fn lost(&self) -> bool {
        !self.suspended && !TAKEN.load(Ordering::SeqCst)
    }

    /// Gives the terminal back and stops the whole job, as ctrl-z does. Continue with [`Guard::resume`].
    pub fn suspend(&mut self) -> io::Result<()> {
        leave();
        self.suspended = true;
        Ok(kill_current_process_group(Signal::STOP)?)
    }

    /// Takes the terminal again after the job was continued. Everything has to be drawn anew.
    pub fn resume(&mut self) -> io::Result<()> {
        self.suspended = false;
        // After a stop that was not ours the shell has changed the terminal's mode behind crossterm's back, and crossterm
        // sets nothing it believes to be set.
        leave();
        enter()?;
        if self.mouse { write_mouse(true) } else { Ok(()) }
    }
}

fn write_mouse(on: bool) -> io::Result<()> {
    let mut out = io::stdout();
    execute!(out, crossterm::style::Print(if on { MOUSE_ON } else { MOUSE_OFF }))
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    // mosh does not clear the alternate screen by itself.
    execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All), EnableBracketedPaste, Hide)
}

fn leave() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that is gone.
        let _ = io::stdout().write_all(&super::kitty::leave());
        let mouse = crossterm::style::Print(MOUSE_OFF);
        let _ = execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            mouse,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = io::stdout().flush();
        let _ = disable_raw_mode();
    }
}

/// Whether the terminal behind standard output still exists: after a hang-up asking for its size fails.
pub fn alive() -> bool {
    rustix::termios::tcgetwinsize(rustix::stdio::stdout()).is_ok()
}
