// SPDX-License-Identifier: AGPL-3.0-only
// The probe's judgement, and when it is asked for.
#include "runnerd/probe.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "common/base/cat.h"
#include "runnerd/isolation.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;

std::string GoodLook() {
  return "pid=1\nuid=65534\ngid=65534\nCapInh=0000000000000000\nCapPrm=0000000000000000\nCapEff="
         "0000000000000000\n"
         "CapBnd=0000000000000000\nCapAmb=0000000000000000\nNoNewPrivs=1\nSeccomp=2\nns_user=user:["
         "2]\nns_pid=pid:[2]\nns_net=net:[2]\n"
         "ns_ipc=ipc:[2]\nns_uts=uts:[2]\nns_mnt=mnt:[2]\nns_cgroup=cgroup:[2]\nhostname="
         "auspex\nprocesses=1 \ndescriptors=0 1 2 \n"
         "root=\ninterfaces=lo "
         "\nwrite_root=refused\nwrite_usr=refused\nwrite_etc=refused\nwrite_dev=refused\nwrite_"
         "proc=refused\n"
         "write_unit=possible\nsocket_inet=refused\nsocket_netlink=refused\nnew_user_namespace="
         "refused\nmount=refused\nptrace=refused\nlandlock=7\n";
}

std::map<std::string, std::string> Namespaces() {
  std::map<std::string, std::string> outside;
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt", "cgroup"})
    outside[kind] = Cat(kind, ":[1]");
  return outside;
}

TEST(Probe, EveryFactCounts) {
  EXPECT_TRUE(JudgeLook(GoodLook(), Namespaces(), 7).ok)
      << JudgeLook(GoodLook(), Namespaces(), 7).failure;
  // Each line that is changed or missing brings a required layer down and is named.
  const std::string look = GoodLook();
  for (size_t begin = 0; begin < look.size();) {
    const size_t end = look.find('\n', begin);
    const std::string line = look.substr(begin, end - begin);
    const std::string without = look.substr(0, begin) + look.substr(end + 1);
    if (!line.starts_with("root=") && !line.starts_with("ns_cgroup") &&
        !line.starts_with("interfaces")) {
      const ProbeResult result = JudgeLook(without, Namespaces(), 7);
      EXPECT_FALSE(result.ok) << line;
      EXPECT_THAT(result.failure, HasSubstr("layer ")) << line;
    }
    begin = end + 1;
  }
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt"}) {
    auto same = Namespaces();
    same[kind] = Cat(kind, ":[2]");
    EXPECT_FALSE(JudgeLook(GoodLook(), same, 7).ok) << kind;
  }
  EXPECT_FALSE(JudgeLook("", Namespaces(), 7).ok);
  // A kernel without Landlock is told and accepted; one that has it must show it, all of it.
  EXPECT_TRUE(JudgeLook(GoodLook(), Namespaces(), 0).ok);
  EXPECT_FALSE(JudgeLook(GoodLook(), Namespaces(), 2).ok);
}

TEST(Isolation, ProbesOnceAndAgainAfterAFailure) {
  class Hand : public Clock {
   public:
    int64_t NowMicros() const override { return now; }
    int64_t MonotonicMicros() const override { return now; }
    int64_t now = 1;
  } clock;
  int probes = 0;
  bool works = false;
  Isolation isolation(
      [&] {
        ++probes;
        return ProbeResult{works, {}, works ? "" : "no"};
      },
      clock);
  EXPECT_FALSE(isolation.Last().has_value());
  EXPECT_FALSE(isolation.Ensure().ok);
  EXPECT_FALSE(isolation.Ensure().ok);
  EXPECT_EQ(probes, 1);
  works = true;
  clock.now += 31'000'000;
  EXPECT_TRUE(isolation.Ensure().ok);
  clock.now += 3'000'000'000;
  EXPECT_TRUE(isolation.Ensure().ok);
  EXPECT_EQ(probes, 2);
  isolation.Refresh();
  EXPECT_EQ(probes, 3);
}

}  // namespace
}  // namespace auspex::runnerd
