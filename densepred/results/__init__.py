"""The files that predictions become, and COCO's forms of them."""
