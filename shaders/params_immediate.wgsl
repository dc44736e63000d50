var<immediate> params: Params;
