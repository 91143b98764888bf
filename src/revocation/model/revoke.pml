/* A revoke over many edges: after its acknowledgement nothing begins to be allowed.
 *
 * What stands for what (docs/adr/0014-shared-store.md, docs/adr/0015-open-streams.md):
 *   Revoke     the edge that revokes: own denial, own streams, commit, then the watch over leases
 *   Database   counter of changes, leases, the timeline; answers a renewal in its own time
 *   Follower   control of another edge: renews, reads changes, denies, looks for streams, tells
 *   Decider    control: decides, registers, looks once more, answers
 *   Beat       control: without a lease cuts tunnels, and only then tells the guardian of itself
 *   Envoy      asks, begins what was allowed, ends; a tunnel (TUNNELS) begins without asking
 *   Watchdog   the guardian: kills Envoy when the newest beat is too old
 *
 * Time is Tick. Nobody has to act before a tick comes, so each process may stand still between any
 * two of its steps for as long as it takes (SIGSTOP, a lost network), and each message may be late;
 * but three: the watchdog kills within its bound, a running Envoy gives up a check at its timeout,
 * and clocks run at one rate. What is counted ends at what matters, so the model is finite. There
 * is one session, one revoke, and at each edge one stream of that session at a time.
 *
 * Safety, asserted at each begin:
 *   1  what a guest asked for after the acknowledgement is not allowed, at any edge
 *   2  an edge whose lease was waited out begins nothing any more, not even what was asked before;
 *      save an Envoy that was itself stopped (ENVOY_STOPS) while it waited for the answer
 *   3  an edge that acknowledged begins only what was found and is being cut; a tunnel nothing
 * Liveness (LIVENESS): the revoke ends, whoever else stops for good.
 *
 * Run by check_model beside it, which also builds in faults and sees each of them found.
 */

#ifndef EDGES
#define EDGES 1 /* besides the one that revokes */
#endif
#ifndef LEASE
#define LEASE 2
#endif
#ifndef WATCHDOG
#define WATCHDOG 1
#endif
#ifndef TIMEOUT
#define TIMEOUT 1 /* of ext_authz */
#endif
#ifndef WAIT_FOR_ALL
#define WAIT_FOR_ALL false
#endif
#ifndef WAIT
#define WAIT (LEASE + WATCHDOG + TIMEOUT)
#endif

#ifdef OWN
#define ALL (EDGES + 1) /* the last is the edge that revokes */
#else
#define ALL EDGES
#endif

#if defined(TUNNELS) || !defined(COARSE)
#define WATCHED
#endif

#ifdef LIVENESS
#define MAY_STOP :: break
#else
#define MAY_STOP
#endif

#ifdef COARSE /* nobody stands still in the midst of a decision or of catching up */
#define STEPS atomic
#else
#define STEPS
#endif

mtype = {none, request, granted, behind, elsewhere, /* a renewal */
         idle, asked, open,                         /* a stream */
         unanswered, allow, deny};

typedef Edge {
  /* Control. */
  bool denied;     /* the revocation is in force here */
  bool told;       /* and its streams were looked for: what renewals carry */
  bool where;      /* the timeline that it follows */
  byte lease;      /* ticks that are left */
  bool registered; /* the stream */
  bool busy;       /* with a check */
  /* A renewal on its way. */
  mtype renewal = none;
  bool carried;
  bool carried_where;
  bool news;       /* the newest change, as its answer says */
  byte age;        /* since it was sent */
  /* The database's row. */
  bool live;
  bool has_told;
  bool moved;      /* renewed since the revoking edge looked */
  /* Envoy and its guardian. */
  bool up = true;
  mtype stream = idle;
  mtype answer = unanswered;
  byte waits;      /* since it asked */
  bool stopped;
  bool cut;        /* its socket was aborted: it will let go of it */
  byte silence;    /* since the newest beat */
  /* What the revoking edge knows. */
  byte still;      /* ticks without a renewal */
  bool settled;
  bool waited_out;
  /* For the assertions. */
  bool asked_late; /* after the acknowledgement */
};

Edge edge[ALL];
bool change;       /* the counter: 0 before the revocation, 1 with it */
bool timeline;     /* another one after a failover */
bool acknowledged;

#define E edge[e]
#define MAY_ALLOW (!E.denied && E.lease > 0)

inline End() { /* of a stream; the registry learns of it */
  E.stream = idle; E.answer = unanswered; E.registered = false; E.waits = 0;
  E.cut = false; E.stopped = false; E.asked_late = false
}

inline Begin() {
  assert(!E.asked_late);
#ifdef TUNNELS
  assert(!acknowledged || (E.waited_out && E.stopped))
#else
  assert(!acknowledged || (E.waited_out -> E.stopped : E.cut))
#endif
}

proctype Envoy(byte e) {
  do
  :: atomic { E.up && E.stream == idle && !E.busy ->
       E.stream = asked; E.busy = true; E.asked_late = acknowledged }
  :: atomic { E.up && E.answer == allow -> Begin(); E.stream = open; E.answer = unanswered;
       E.waits = 0 }
  :: atomic { E.up && E.answer == deny -> End() }
  :: atomic { E.up && E.stream == asked && E.waits == TIMEOUT -> End() }
  :: atomic { E.up && E.stream == open -> End() }
  :: atomic { E.up && E.cut -> End() }
#ifdef TUNNELS
  :: atomic { E.up && E.stream == open -> Begin() }
#endif
#ifdef ENVOY_STOPS
  :: atomic { E.up && E.stream == asked && !E.stopped -> E.stopped = true }
#ifdef LIVENESS
  :: E.stopped -> break
#endif
#endif
  od
}

proctype Watchdog(byte e) {
  do
  :: atomic { E.up && E.silence == WATCHDOG -> E.up = false; E.silence = 0; End() }
  od
}

proctype Beat(byte e) {
  do
  :: atomic { E.silence > 0 || !E.up ->
       if
#if defined(TUNNELS) && !defined(BEAT_WITHOUT_LEASE)
       :: E.lease == 0 && E.registered -> E.cut = true
       :: !(E.lease == 0 && E.registered) -> E.silence = 0; E.up = true
#else
       :: E.silence = 0; E.up = true
#endif
       fi }
  MAY_STOP
  od
}

inline Register() { /* unless its end came first */
  atomic { allowed = allowed && E.stream == asked; E.registered = E.registered || allowed }
}

proctype Decider(byte e) {
  bool allowed;
  do
  :: STEPS { atomic { E.busy -> allowed = MAY_ALLOW };
#ifndef REGISTER_AFTER_LOOK
     Register();
#endif
     atomic {
       if
       :: allowed && !MAY_ALLOW -> allowed = false; E.registered = false
       :: else
       fi };
#ifdef REGISTER_AFTER_LOOK
     Register();
#endif
     atomic {
       if
       :: E.stream == asked -> E.answer = (allowed -> allow : deny)
       :: else
       fi;
       E.busy = false; allowed = false } }
  MAY_STOP
  od
}

inline CutStreams() {
  atomic {
    if
    :: E.registered -> E.cut = true
    :: else
    fi };
#ifdef TUNNELS
  !E.registered /* it is known that Envoy has let go */
#endif
}

inline DenyAndCut() {
#ifdef CUT_BEFORE_DENIAL
  CutStreams(); E.denied = true
#else
  E.denied = true; CutStreams()
#endif
}

/* Reads the changes, or all of them on another timeline, and puts them in force. */
inline CatchUp() {
  STEPS { atomic { seen = change; seen_where = timeline };
  if
  :: seen -> DenyAndCut()
  :: else
  fi;
  atomic { E.told = seen; E.where = seen_where; seen = false; seen_where = false } }
}

proctype Follower(byte e) {
  bool seen, seen_where;
  do
  :: atomic { E.renewal == none ->
       E.renewal = request; E.carried = E.told; E.carried_where = E.where; E.age = 0 }
  :: atomic { E.renewal == granted -> E.renewal = none;
#ifdef LEASE_FROM_ANSWER
       E.lease = LEASE;
#else
       E.lease = LEASE - E.age;
#endif
       E.age = 0 };
     if
#ifndef RENEW_WITHOUT_APPLYING
     :: E.news != E.told -> CatchUp()
#endif
     :: else
     fi
  :: atomic { E.renewal == behind -> E.renewal = none; E.age = 0 };
     CatchUp()
  :: atomic { E.renewal == elsewhere -> E.renewal = none; E.age = 0; E.lease = 0 };
     CatchUp()
  MAY_STOP
  od
}

proctype Database(byte e) {
  do
  :: atomic { E.renewal == request ->
       if
       :: E.carried_where != timeline -> E.renewal = elsewhere
#ifndef GRANT_TO_THE_LATE
       :: E.carried_where == timeline && !E.live && E.carried != change -> E.renewal = behind
#endif
       :: else -> E.renewal = granted; E.live = true; E.has_told = E.carried; E.moved = true
       fi;
       E.news = change; E.carried = false; E.carried_where = false }
  MAY_STOP
  od
}

#ifdef FAILOVER
active proctype Failover() { /* to a standby that has all that was committed */
  timeline = true
}
#endif

inline Watch() { /* over the lease of one edge, until it has told or has run out */
  do
  :: atomic { !E.live || E.has_told -> E.settled = true; E.still = 0; E.moved = false; break }
  :: atomic { E.live && !E.has_told && E.moved -> E.moved = false; E.still = 0 }
#ifdef END_BLINDLY
  :: E.live && !E.has_told && !E.moved && E.still == WAIT;
     atomic { E.live = false; E.waited_out = true }
#else
  :: atomic { E.live && !E.has_told && !E.moved && E.still == WAIT && !WAIT_FOR_ALL ->
       E.live = false; E.waited_out = true }
#endif
  od
}

active proctype Revoke() {
  byte e;
#ifdef OWN
  e = EDGES;
  DenyAndCut();
#endif
  atomic { /* the commit; nothing was looked at before */
    change = true;
    for (e : 0 .. EDGES - 1) { E.moved = true } };
  for (e : 0 .. EDGES - 1) { Watch() };
  atomic { acknowledged = true; e = 0 }
}

#if defined(GUARDIAN_STOPS) || !defined(WATCHED)
#define KILLS_IN_TIME(i) true
#else
#define KILLS_IN_TIME(i) !(edge[i].up && edge[i].silence == WATCHDOG)
#endif
#define MAY_PASS(i) (KILLS_IN_TIME(i) && !(edge[i].up && edge[i].stream == asked && \
                                           edge[i].waits == TIMEOUT && !edge[i].stopped))
#if ALL == 1
#define ALL_MAY_PASS MAY_PASS(0)
#elif ALL == 2
#define ALL_MAY_PASS (MAY_PASS(0) && MAY_PASS(1))
#else
#define ALL_MAY_PASS (MAY_PASS(0) && MAY_PASS(1) && MAY_PASS(2))
#endif

active proctype Tick() {
  byte e;
  do
  :: d_step { ALL_MAY_PASS ->
       for (e : 0 .. ALL - 1) {
         E.lease = (E.lease > 0 && e < EDGES -> E.lease - 1 : E.lease);
         E.age = (E.renewal != none && E.age < LEASE -> E.age + 1 : E.age);
         E.waits = (E.stream == asked && E.waits < TIMEOUT -> E.waits + 1 : E.waits);
#ifdef WATCHED
         E.silence = (E.up && E.silence < WATCHDOG -> E.silence + 1 : E.silence);
#endif
         E.still = (change && !E.settled && E.still < WAIT -> E.still + 1 : E.still)
       };
       e = 0 }
  od
}

init {
  byte e;
  atomic {
    for (e : 0 .. ALL - 1) {
      run Envoy(e); run Decider(e);
#ifdef WATCHED
      run Watchdog(e); run Beat(e);
#endif
      if
      :: e < EDGES -> run Follower(e); run Database(e)
      :: else -> E.lease = 1
      fi };
    e = 0 }
}

#ifdef LIVENESS
ltl ends { <> acknowledged }
#endif
