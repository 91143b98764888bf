// One function a command; each adds itself to the tree.
#pragma once

#include "cli/command.h"

namespace exeat::cli {

void AddInit(CLI::App& root, Context& context);
void AddUp(CLI::App& root, Context& context);
void AddRun(CLI::App& root, Context& context);
void AddSession(CLI::App& root, Context& context);
void AddSessionRevoke(CLI::App& session, Context& context);  // revoke and restore
void AddSessionRotateKey(CLI::App& session, Context& context);
void AddPolicy(CLI::App& root, Context& context);
void AddCa(CLI::App& root, Context& context);
void AddWhy(CLI::App& root, Context& context);
void AddDoctor(CLI::App& root, Context& context);
void AddAudit(CLI::App& root, Context& context);
void AddMetrics(CLI::App& root, Context& context);
void AddVersion(CLI::App& root, Context& context);
void AddCompletion(CLI::App& root, Context& context);

// The whole tree.
void AddCommands(CLI::App& root, Context& context);

}  // namespace exeat::cli
