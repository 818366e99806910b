/** Of this command line; the coordinator tells its own. */
export const version = "0.1.0";
