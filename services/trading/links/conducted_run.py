"""A virtual run of several processes, as the coordinator's process conducts it."""

from collections.abc import Callable

from trading.hosting.host import Host
from trading.links.platform import PlatformChange, PlatformNetwork
from trading.links.session_store import SessionStore
from trading.links.virtual import VirtualLinks
from trading.lockstep.conductor import Conductor
from trading.lockstep.packets import Tried


class ConductedRun:
    """Owns what one session of virtual time needs: its conductor, and the platform's network.

    It builds the conductor and passes itself as the
    :class:`~trading.lockstep.conductor.ConductorObserver`, because the conductor asks the network
    whether time may go on, and the network lets the conductor hold it. ``virtual`` are the links
    of the session, and ``store`` has what was noted of it before a restart. Time waits
    ``patience`` wall seconds for a service that is away, and ``network_patience`` for a change of
    the platform's network. ``failed`` is called with the reason when the run cannot go on.
    """

    def __init__(
        self,
        host: Host,
        virtual: VirtualLinks,
        store: SessionStore,
        *,
        patience: float,
        network_patience: float,
        failed: Callable[[str], None],
    ) -> None:
        self._host = host
        self._virtual = virtual
        self._store = store
        self._report_failure = failed
        self._platform: PlatformNetwork | None = None
        #: What the platform's network did in this run, oldest first.
        self._changes: list[PlatformChange] = []
        dismissed = store.dismissed()
        self._conductor = Conductor(
            host,
            host.session.instances,
            virtual.send_to,
            virtual.follower,
            patience,
            self,
            dismissed,
        )
        for name in dismissed:
            virtual.dismiss(name)
        if host.session.platform_cuts:
            self._changes = store.changes()
            self._platform = PlatformNetwork(
                host, self._conductor, virtual.send_to, self._record_change, network_patience
            )
        virtual.set_conductor(self._conductor)

    async def stop(self) -> None:
        """Grant no more time."""
        if self._platform is not None:
            await self._platform.stop()
        await self._conductor.stop()

    @property
    def waited(self) -> dict[str, float]:
        """The wall seconds that time has waited for each instance; it grows during the run."""
        return self._conductor.waited

    @property
    def waiting_for(self) -> list[str]:
        """The instances that time waits for now."""
        return self._conductor.waiting_for

    @property
    def all_present(self) -> bool:
        """Whether all instances are connected."""
        return self._conductor.all_present

    def must_hold(self) -> bool:
        """Return whether time waits for the platform's network."""
        return self._platform is not None and self._platform.must_hold()

    def on_joined(self, name: str) -> None:
        """Send an instance the services that it may have no connection with."""
        if self._platform is not None:
            self._platform.send_separation(name)

    async def record_dismissal(self, name: str, at: int) -> None:
        """Store that the run goes on without an instance since the simulated time ``at``."""
        await self._store.add_dismissed(name, at)

    def on_dismissed(self, name: str) -> None:
        """Close the link to an instance that takes part no more."""
        self._virtual.dismiss(name)

    def on_failed(self, why: str) -> None:
        """Report why the run cannot go on."""
        self._report_failure(why)

    def on_connection_tried(self, name: str, response: Tried) -> None:
        """Hand the platform's network how an attempt to connect ended."""
        if self._platform is not None:
            self._platform.on_response(name, response)

    def _record_change(self, change: PlatformChange) -> None:
        """Store what the platform's network did, and when, beside the run."""
        self._changes.append(change)
        work = self._store.put_changes(self._changes)
        self._host.tasks.start("a note of what happened in a run", work)
