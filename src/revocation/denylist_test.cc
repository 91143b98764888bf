#include "revocation/denylist.h"

#include <atomic>
#include <chrono>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace exeat::revocation {
namespace {

std::string Id(std::size_t number) { return "s" + std::to_string(number); }

TEST(DenylistSnapshot, DefaultConstructedKnowsNothingAndSaysSo) {
  EXPECT_EQ(Snapshot().Check({"s", "j", "u"}), Standing::kNotLoaded);
  EXPECT_EQ(Standing{}, Standing::kNotLoaded);
}

TEST(Denylist, IsNotLoadedUntilItWasLoadedWhateverWasAdded) {
  Denylist denylist;
  EXPECT_EQ(denylist.Read().Check({"s", "j", "u"}), Standing::kNotLoaded);
  denylist.Add({Kind::kSession, "other"});
  denylist.SetEverything(false);
  EXPECT_EQ(denylist.Read().Check({"s", "j", "u"}), Standing::kNotLoaded);
  denylist.Load({}, false);
  EXPECT_EQ(denylist.Read().Check({"s", "j", "u"}), Standing::kClear);
}

TEST(Denylist, RevokesByEachOfTheThreeIds) {
  for (const Entry entry :
       {Entry{Kind::kSession, "s"}, Entry{Kind::kTokenId, "j"}, Entry{Kind::kSubject, "u"}}) {
    Denylist denylist;
    denylist.Load({}, false);
    denylist.Add(entry);
    EXPECT_EQ(denylist.Read().Check({"s", "j", "u"}), Standing::kRevoked);
    EXPECT_TRUE(denylist.Read().Contains(entry.kind, entry.id));
    EXPECT_TRUE(denylist.Remove(entry));
    EXPECT_FALSE(denylist.Remove(entry));
    EXPECT_EQ(denylist.Read().Check({"s", "j", "u"}), Standing::kClear);
  }
}

TEST(Denylist, DoesNotTakeOneKindOfIdForAnother) {
  Denylist denylist;
  denylist.Load({{Kind::kSession, "x"}}, false);
  EXPECT_EQ(denylist.Read().Check({"a", "x", "x"}), Standing::kClear);
  EXPECT_EQ(denylist.Read().Check({"x", "a", "a"}), Standing::kRevoked);
}

TEST(Denylist, TellsLongIdsApartByTheirLastByte) {
  Denylist denylist;
  denylist.Load({}, false);
  for (const std::size_t length : {126u, 127u, 128u, 4000u}) {
    const std::string listed = std::string(length - 1, 'a') + "b";
    denylist.Add({Kind::kSubject, listed});
    EXPECT_TRUE(denylist.Read().Contains(Kind::kSubject, listed)) << length;
    EXPECT_FALSE(denylist.Read().Contains(Kind::kSubject, std::string(length, 'a'))) << length;
  }
}

TEST(Denylist, RevokesEverybodyAndKeepsTheEntriesForLater) {
  Denylist denylist;
  denylist.Load({{Kind::kSession, "s"}}, false);
  denylist.SetEverything(true);
  EXPECT_TRUE(denylist.Read().everything());
  EXPECT_EQ(denylist.Read().Check({"a", "b", "c"}), Standing::kRevoked);
  denylist.SetEverything(false);
  EXPECT_EQ(denylist.Read().Check({"a", "b", "c"}), Standing::kClear);
  EXPECT_EQ(denylist.Read().Check({"s", "b", "c"}), Standing::kRevoked);
}

TEST(Denylist, CountsAnEntryThatWasAddedTwiceOnce) {
  Denylist denylist;
  denylist.Load({{Kind::kSession, "s"}, {Kind::kSession, "s"}}, false);
  denylist.Add({Kind::kSession, "s"});
  denylist.Add({Kind::kTokenId, "t"});
  denylist.Add({Kind::kTokenId, "t"});
  EXPECT_EQ(denylist.Read().size(), 2u);
  EXPECT_TRUE(denylist.Remove({Kind::kSession, "s"}));
  EXPECT_EQ(denylist.Read().size(), 1u);
  denylist.Add({Kind::kSession, "s"});
  EXPECT_EQ(denylist.Read().size(), 2u);
}

TEST(Denylist, LoadReplacesAllThatWasThere) {
  Denylist denylist;
  denylist.Load({{Kind::kSession, "old"}}, true);
  denylist.Add({Kind::kSession, "added"});
  denylist.Load({{Kind::kSession, "new"}}, false);
  const Snapshot snapshot = denylist.Read();
  EXPECT_FALSE(snapshot.everything());
  EXPECT_FALSE(snapshot.Contains(Kind::kSession, "old"));
  EXPECT_FALSE(snapshot.Contains(Kind::kSession, "added"));
  EXPECT_TRUE(snapshot.Contains(Kind::kSession, "new"));
}

TEST(Denylist, ASnapshotDoesNotSeeWhatCameAfterIt) {
  Denylist denylist;
  denylist.Load({{Kind::kSession, "s"}}, false);
  const Snapshot before = denylist.Read();
  denylist.Remove({Kind::kSession, "s"});
  denylist.Add({Kind::kSession, "t"});
  EXPECT_TRUE(before.Contains(Kind::kSession, "s"));
  EXPECT_FALSE(before.Contains(Kind::kSession, "t"));
}

TEST(Denylist, AgreesWithASetThroughRandomChangesAndMerges) {
  constexpr std::size_t kIds = 6000;
  std::mt19937 random(20240607);
  Denylist denylist;
  std::set<std::size_t> expected;
  std::vector<std::string> ids;
  for (std::size_t id = 0; id < kIds; ++id) ids.push_back(Id(id));
  std::vector<Entry> entries;
  for (std::size_t id = 0; id < kIds / 2; ++id) {
    entries.push_back({Kind::kSession, ids[id]});
    expected.insert(id);
  }
  denylist.Load(entries, false);
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t id = random() % kIds;
    if (random() % 2 == 0) {
      denylist.Add({Kind::kSession, ids[id]});
      expected.insert(id);
    } else {
      ASSERT_EQ(denylist.Remove({Kind::kSession, ids[id]}), expected.erase(id) == 1) << step;
    }
    if (step % 5000 != 4999) continue;
    if (step > 10'000) denylist.WaitForMerge();
    const Snapshot snapshot = denylist.Read();
    ASSERT_EQ(snapshot.size(), expected.size());
    for (std::size_t other = 0; other < kIds; ++other) {
      ASSERT_EQ(snapshot.Contains(Kind::kSession, ids[other]), expected.contains(other)) << other;
    }
  }
}

TEST(Denylist, MergesItsDeltaIntoTheBase) {
  Denylist denylist;
  denylist.Load({}, false);
  for (std::size_t id = 0; id < 30'000; ++id) denylist.Add({Kind::kSession, Id(id)});
  denylist.WaitForMerge();
  const Snapshot snapshot = denylist.Read();
  ASSERT_EQ(snapshot.size(), 30'000u);
  // A delta that was never merged would cost no table: 16 bytes an entry.
  EXPECT_GT(snapshot.bytes(), snapshot.size() * 28);
  for (std::size_t id = 0; id < 30'000; ++id) {
    ASSERT_TRUE(snapshot.Contains(Kind::kSession, Id(id)));
  }
}

TEST(Denylist, NeverLosesAnEntryUnderReadersAndMerges) {
  Denylist denylist;
  denylist.Load({{Kind::kSubject, "always"}}, false);
  std::atomic<std::size_t> added = 0;
  std::atomic<bool> lost = false;
  {
    std::jthread reader([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        const std::size_t known = added.load();
        const Snapshot snapshot = denylist.Read();
        if (snapshot.Check({"x", "y", "always"}) != Standing::kRevoked) lost = true;
        if (known > 0 && !snapshot.Contains(Kind::kSession, Id(known - 1))) lost = true;
      }
    });
    for (std::size_t id = 0; id < 20'000; ++id) {
      denylist.Add({Kind::kSession, Id(id)});
      added.store(id + 1);
    }
  }
  EXPECT_FALSE(lost);
}

TEST(Denylist, KeepsWhatChangedWhileAMergeWasRunning) {
  constexpr std::size_t kBase = 100'000;
  std::vector<std::string> ids;
  for (std::size_t id = 0; id < kBase; ++id) ids.push_back(Id(id));
  std::vector<Entry> entries;
  for (const std::string& id : ids) entries.push_back({Kind::kSession, id});
  Denylist denylist;
  denylist.Load(entries, false);
  constexpr std::size_t kRemoved = 2500;
  for (std::size_t round = 0; round < 5; ++round) {
    const std::string suffix = "-" + std::to_string(round);
    for (std::size_t id = 0; id < kBase / 64; ++id) {
      denylist.Add({Kind::kSession, ids[id] + suffix});
    }
    // A merge begins and ends somewhere in this loop: entries of the old base and of the delta go.
    for (std::size_t n = 0; n < kRemoved; ++n) {
      ASSERT_TRUE(denylist.Remove({Kind::kSession, ids[round * kRemoved + n]}));
    }
    ASSERT_TRUE(denylist.Remove({Kind::kSession, ids[0] + suffix}));
    denylist.WaitForMerge();
    const Snapshot snapshot = denylist.Read();
    for (std::size_t n = 0; n < kRemoved; ++n) {
      ASSERT_FALSE(snapshot.Contains(Kind::kSession, ids[round * kRemoved + n])) << n;
    }
    EXPECT_FALSE(snapshot.Contains(Kind::kSession, ids[0] + suffix));
    EXPECT_TRUE(snapshot.Contains(Kind::kSession, ids[1] + suffix));
    EXPECT_EQ(snapshot.size(), kBase + (round + 1) * (kBase / 64 - 1 - kRemoved));
  }
}

TEST(Denylist, ALoadDuringAMergeIsNotUndoneByIt) {
  std::vector<std::string> ids;
  for (std::size_t id = 0; id < 50'000; ++id) ids.push_back(Id(id));
  std::vector<Entry> entries;
  for (const std::string& id : ids) entries.push_back({Kind::kSession, id});
  Denylist denylist;
  for (int round = 0; round < 5; ++round) {
    denylist.Load(entries, false);
    for (std::size_t id = 0; id < 1024; ++id) denylist.Add({Kind::kTokenId, ids[id]});
    denylist.Load({{Kind::kSubject, "only"}}, false);
    denylist.WaitForMerge();
    const Snapshot snapshot = denylist.Read();
    EXPECT_EQ(snapshot.size(), 1u);
    EXPECT_EQ(snapshot.Check({ids[5], ids[5], "x"}), Standing::kClear);
    EXPECT_EQ(snapshot.Check({"x", "x", "only"}), Standing::kRevoked);
  }
}

TEST(Denylist, HoldsAMillionEntriesInAtMostFortyBytesEach) {
  constexpr std::size_t kCount = 1'000'000;
  std::vector<std::string> ids;
  ids.reserve(kCount);
  for (std::size_t id = 0; id < kCount; ++id) ids.push_back(Id(id));
  std::vector<Entry> entries;
  entries.reserve(kCount);
  for (const std::string& id : ids) entries.push_back({Kind::kSession, id});
  Denylist denylist;
  denylist.Load(entries, false);
  // Just below the merge, the delta is at its largest.
  for (std::size_t id = 0; id < kCount / 64 - 1; ++id) denylist.Add({Kind::kTokenId, ids[id]});
  const Snapshot snapshot = denylist.Read();
  EXPECT_LE(static_cast<double>(snapshot.bytes()) / static_cast<double>(snapshot.size()), 40.0);
  for (std::size_t id = 0; id < kCount; id += 997) {
    ASSERT_EQ(snapshot.Check({ids[id], "j", "u"}), Standing::kRevoked);
    ASSERT_EQ(snapshot.Check({ids[id] + "x", "j", "u"}), Standing::kClear);
  }
}

}  // namespace
}  // namespace exeat::revocation
