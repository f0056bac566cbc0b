// SPDX-License-Identifier: AGPL-3.0-only
// A coordinator that means ill: netd stays small, stays up, and never sends anything to another
// place.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>

#include "tests/netd/netd_process.h"

namespace auspex::testing {
namespace {

// A sanitizer's shadow dwarfs every figure of memory.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// A figure of /proc/<pid>/smaps_rollup or status in KiB; 0 when it cannot be read.
long Kib(pid_t pid, const std::string& file, const std::string& name) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind(name, 0) == 0) return std::stol(line.substr(name.size()));
  }
  return 0;
}

TEST(Hostile, MemoryStaysFlatUnderLargeAndRottenAnswers) {
  std::string many = R"({"work_unit":null,"idle_reason":{"x":[0)";
  for (int i = 0; i < 1'000'000; ++i) many += ",0";
  const std::string deep(3'000'000, '[');
  const std::string huge(8'000'000, 'x');
  std::atomic<int> polls = 0;
  NetdLab lab([&](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/heartbeat")) return wire.Reply(200, huge);
    switch (++polls % 4) {
      case 0:
        return wire.Reply(200, many + "]}}");
      case 1:
        return wire.Reply(200, deep);
      case 2:
        return wire.Reply(500, huge);
      default:
        return ReplyUnit(wire, std::string(100'000, 'a'), "u");
    }
  });
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor("/heartbeat", 10));
  ASSERT_TRUE(lab.server.WaitFor("/assignments", 4));
  // The peak counts, not the moment: VmHWM. An unbounded reader would have held the 8 MB body, or
  // 120 MB of values.
  if (!kSanitized) {
    EXPECT_LT(Kib(lab.netd->pid(), "status", "VmHWM:"), 100'000);
  }
  EXPECT_EQ(lab.netd->Stop(), 1);
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.offers.empty(); }));
}

TEST(Hostile, RedirectsAndForgedIdsReachNoOtherPath) {
  std::atomic<int> polls = 0;
  NetdLab lab([&](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/heartbeat"))
      return wire.Reply(307, "", {{"Location", "/api/v0/steal"}});
    switch (++polls) {
      case 1:
        return wire.Reply(302, "", {{"Location", "/steal"}});
      case 2:
        return ReplyUnit(wire, "asg-1", "../../steal");
      case 3:
        return ReplyUnit(wire, "asg?x=1", "u");
      default:
        return wire.Reply(308, "", {{"Location", "http://127.0.0.1:1/steal"}});
    }
  });
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor("/assignments", 3));
  EXPECT_EQ(lab.netd->Stop(), 1);
  for (const MockRequest& request : lab.server.requests())
    EXPECT_EQ(request.target.find("steal"), std::string::npos) << request.target;
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.offers.empty(); }));
}

TEST(Hostile, TextCannotForgeALogLine) {
  NetdLab lab([](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/heartbeat")) return ReplyHeartbeat(wire);
    wire.Reply(
        403,
        R"({"detail":{"error":{"code":"x","message":"a\nt=0 level=info proc=keyd event=forged \u001b[2J","details":null}}})");
  });
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor("/assignments", 1));
  EXPECT_EQ(lab.netd->Stop(), 0);
  const std::string log = lab.netd->Log();
  EXPECT_EQ(log.find("\nt=0"), std::string::npos);
  EXPECT_EQ(log.find('\x1b'), std::string::npos);
}

TEST(Hostile, AStopEndsATransferThatHangs) {
  NetdLab lab([](const MockRequest&, MockWire& wire) {
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    wire.WaitForClose();
  });
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor("/heartbeat", 1));
  EXPECT_EQ(lab.netd->Stop(), 0) << "nothing failed: it was stopped";
}

TEST(Hardening, NetdIsSmallNotDumpableAndCannotStartPrograms) {
  NetdLab lab([](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/heartbeat")) return ReplyHeartbeat(wire);
    ReplyNoWork(wire);
  });
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor("/assignments", 3));
  const pid_t pid = lab.netd->pid();
  EXPECT_EQ(Kib(pid, "status", "NoNewPrivs:"), 1);
  EXPECT_EQ(Kib(pid, "status", "Seccomp:"), 2);
  // What is netd's own, whatever libraries it shares with whom. 0: only root may read it, because
  // netd is not dumpable.
  const long own = Kib(pid, "smaps_rollup", "Anonymous:");
  if (!kSanitized) {
    EXPECT_LT(own, 6 * 1024);
  }
}

}  // namespace
}  // namespace auspex::testing
