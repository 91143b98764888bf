// The test program re-executed as guardian, control or Envoy, so that the runner is tested on real
// processes without the real ones.
#pragma once

#include <string>
#include <vector>

namespace exeat::guardian {

// argv[1] of a stand-in is "--stand-in=ROLE"; guardian and control then take a directory and a
// mode:
//   plain         beats, starts Envoy, says Ready, answers Drain
//   stubborn      never drains and ignores SIGTERM
//   fatal         refuses to start
//   garbage-once  the first control breaks its link with a malformed record
//   probe         its Envoy is the probe below
//   bad-run-dir   its Envoy's run directory is not there
//   cut           its Envoy is a TCP server; control connects to it, has three of its connections
//                 cut, and reports how that came out
//   cut-deaf      the same with one connection that its Envoy never closes
// Control reports what it sees in datagrams to DIRECTORY/report.sock.
//
// "--stand-in=hardened-tests" runs the tests that follow as arguments in a process hardened as the
// guardian is.
int RunStandIn(const std::vector<std::string>& argv);

// The probe: writes to the FIFO `probe.fifo` in its working directory what it may and may not do,
// one "name=value" a line, then waits. Its argument is a path that it must not be able to read.
int RunProbe(const std::string& secret_path, pid_t guardian);

// Path of this executable.
std::string OwnExecutable();

}  // namespace exeat::guardian
