#include "accel/engine/accel_engine.h"
#include "app/worker/environment.h"
#include "app/worker/worker_service.h"

int main(int argc, char** argv) {
    canopy::worker::prepareEnvironment(argv);
    return canopy::worker::workerMain(argc, argv, [] { return canopy::accel::makeEngine(); });
}
