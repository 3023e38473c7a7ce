#include <cstdlib>
#include <cstring>

#include "app/worker/worker_service.h"
#include "tests/support/fake_engine.h"

int main(int argc, char** argv) {
    return canopy::worker::workerMain(argc, argv, canopy::test::makeFakeEngine);
}
